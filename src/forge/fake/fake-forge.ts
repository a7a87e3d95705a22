import { runProcess } from '../../platform/process.ts'
import type { Check, Forge, PushOutcome, Review } from '../contract.ts'
import { createMemoryPullRequests } from '../memory-pull-requests.ts'
import { createMirrors, type MirroringForgeInput } from '../mirrors.ts'
import { pushBranch } from '../push-branch.ts'
import { createRecordedPullRequests } from '../recorded-pull-requests.ts'

export type FakeForge = Forge & {
  /** What a reviewer or a check would have left there; shown by readReviews and readChecks from now on. */
  addReview(at: { readonly projectId: string; readonly number: number }, review: Review): void
  setCheck(at: { readonly projectId: string; readonly number: number }, check: Check): void
}

/**
 * A forge with everything and no server: git is real, in a directory; pull requests live in memory. Words in the
 * branch's name (so, in a ticket's title) make trouble:
 * - `fake-push-fails-<n>`: the first n pushes of that branch fail with `push_failed`
 * - `fake-push-protected`: every push is refused with `branch_protected`
 * - `fake-merge-conflict`: merging reports a conflict in `conflict.txt`
 * - `fake-merge-rejected`: merging is refused with `branch_protected`
 */
export function createFakeForge(input: MirroringForgeInput): FakeForge {
  const mirrors = createMirrors({ ...input, run: runProcess })
  const records = createMemoryPullRequests()
  const pullRequests = createRecordedPullRequests(records)
  const reviews = new Map<string, Review[]>()
  const checks = new Map<string, Map<string, Check>>()
  const failedPushes = new Map<string, number>()

  function failPush(branch: string): PushOutcome | undefined {
    if (branch.includes('fake-push-protected')) {
      return {
        kind: 'rejected',
        reason: 'branch_protected',
        detail: `${branch} is protected, as its name asks`,
      }
    }
    const wanted = Number(/fake-push-fails-(\d+)/.exec(branch)?.[1] ?? 0)
    const failed = failedPushes.get(branch) ?? 0
    if (failed >= wanted) return undefined
    failedPushes.set(branch, failed + 1)
    return {
      kind: 'rejected',
      reason: 'push_failed',
      detail: `push ${failed + 1} fails, as the branch's name asks`,
    }
  }

  return {
    name: input.name ?? 'fake',
    capabilities: { pullRequests: true, checks: true, reviews: true, merge: true },
    ensureMirror: (project, signal) => mirrors.ensure(project, signal),
    openMirror: (project, signal) => mirrors.open(project, signal),
    pushBranch: async (push, signal) => failPush(push.branch) ?? (await pushBranch(push, signal)),
    openOrUpdatePullRequest: pullRequests.openOrUpdate,
    findPullRequest: pullRequests.find,
    closePullRequest: pullRequests.close,
    readChecks: async ({ project, number }) => [
      ...(checks.get(keyOf(project.projectId, number))?.values() ?? []),
    ],
    readReviews: async ({ project, number }) => reviews.get(keyOf(project.projectId, number)) ?? [],
    async merge(merge, signal) {
      const branch = (await records.findByNumber(merge.project.projectId, merge.number))?.branch ?? ''
      if (branch.includes('fake-merge-conflict')) {
        return { kind: 'conflict', files: ['conflict.txt'], detail: "a conflict, as the branch's name asks" }
      }
      if (branch.includes('fake-merge-rejected')) {
        return { kind: 'rejected', reason: 'branch_protected', detail: "refused, as the branch's name asks" }
      }
      return await pullRequests.merge(merge, signal)
    },
    addReview({ projectId, number }, review) {
      const key = keyOf(projectId, number)
      reviews.set(key, [...(reviews.get(key) ?? []), review])
    },
    setCheck({ projectId, number }, check) {
      const key = keyOf(projectId, number)
      checks.set(key, (checks.get(key) ?? new Map<string, Check>()).set(check.name, check))
    },
  }
}

function keyOf(projectId: string, number: number): string {
  return `${projectId} ${number}`
}
