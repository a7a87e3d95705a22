import { asBareMirror, fetchBranch } from './bare-mirror.ts'
import {
  type CommitHash,
  type FindPullRequest,
  ForgeError,
  type MergeOutcome,
  type MergePullRequest,
  type NamedPullRequest,
  type OpenPullRequest,
  type PullRequest,
  type PullRequestOutcome,
  type PullRequestRecords,
} from './contract.ts'
import { findMergeOf, mergeCommits } from './merge-commits.ts'
import { pushRef } from './push-branch.ts'

/** The pull request half of a forge whose pull requests are rows of the store and whose server is a directory. */
export type RecordedPullRequests = {
  openOrUpdate(input: OpenPullRequest, signal: AbortSignal): Promise<PullRequestOutcome>
  find(input: FindPullRequest, signal: AbortSignal): Promise<PullRequest | undefined>
  close(input: NamedPullRequest, signal: AbortSignal): Promise<PullRequest>
  merge(input: MergePullRequest, signal: AbortSignal): Promise<MergeOutcome>
}

/** How often a merge is made anew because the base branch moved meanwhile */
const MERGE_COUNT_MAX = 3

export function createRecordedPullRequests(records: PullRequestRecords): RecordedPullRequests {
  return {
    openOrUpdate: (input, signal) => openOrUpdate(records, input, signal),

    async find(input, signal) {
      const found = await records.findByBranch(input.project.projectId, input.branch)
      return found === undefined ? undefined : await noticeMerge(records, input, found, signal)
    },

    async close(input, signal) {
      const found = await noticeMerge(records, input, await getPullRequest(records, input), signal)
      return found.status === 'open'
        ? await records.saveClosed({ projectId: input.project.projectId, number: input.number })
        : found
    },

    async merge(input, signal) {
      try {
        return await merge(records, input, signal)
      } catch (error) {
        if (!(error instanceof ForgeError)) throw error
        return { kind: 'rejected', reason: error.reason, detail: error.message }
      }
    },
  }
}

async function openOrUpdate(
  records: PullRequestRecords,
  input: OpenPullRequest,
  signal: AbortSignal,
): Promise<PullRequestOutcome> {
  const { project, mirror, commit } = input
  const base = await mirror.defaultCommit(signal)
  const baseCommit = await mirror.mergeBase(base, commit, signal)
  if (baseCommit === undefined) {
    return {
      kind: 'rejected',
      reason: 'merge_conflict',
      detail: 'the branch shares no history with its base',
    }
  }
  const newest = await records.findByBranch(project.projectId, input.branch)
  const known = newest?.headCommit === commit ? await noticeMerge(records, input, newest, signal) : newest
  const isMerged = known?.status === 'merged' && known.headCommit === commit
  if (baseCommit === commit && !isMerged) {
    return { kind: 'rejected', reason: 'no_change', detail: `${project.defaultBranch} has all of it already` }
  }
  const diff = await mirror.diff({ from: baseCommit, to: commit }, signal)
  if (isMerged) return { kind: 'unchanged', pullRequest: known, baseCommit, diff }
  const { ticketId, runId, branch, title, body } = input
  const saved = await records.saveOpen({
    projectId: project.projectId,
    ticketId,
    runId,
    branch,
    baseBranch: input.baseBranch ?? project.defaultBranch,
    headCommit: commit,
    baseCommit,
    title,
    body,
    diff,
  })
  return { ...saved, baseCommit, diff }
}

async function getPullRequest(records: PullRequestRecords, input: NamedPullRequest): Promise<PullRequest> {
  const found = await records.findByNumber(input.project.projectId, input.number)
  if (found === undefined) throw new Error(`the project has no pull request ${input.number}`)
  return found
}

/** A person may have merged the branch with git itself: then the base branch contains its head. */
async function noticeMerge(
  records: PullRequestRecords,
  { project, mirror }: Pick<NamedPullRequest, 'project' | 'mirror'>,
  known: PullRequest,
  signal: AbortSignal,
): Promise<PullRequest> {
  if (known.status !== 'open') return known
  const base = await refreshBase(mirror, known.baseBranch, signal)
  const merged = await findMergeOf(asBareMirror(mirror).repository, known.headCommit, base, signal)
  if (merged === undefined) return known
  const { projectId } = project
  const { number, headCommit } = known
  return await records.saveMerged({ projectId, number, headCommit, mergedCommit: merged })
}

async function refreshBase(
  mirror: NamedPullRequest['mirror'],
  branch: string,
  signal: AbortSignal,
): Promise<CommitHash> {
  const { repository, remote } = asBareMirror(mirror)
  await asBareMirror(mirror).exclusively(signal, () => fetchBranch(repository, remote, branch, signal))
  const commit = await mirror.resolve(`refs/remotes/origin/${branch}`, signal)
  if (commit === undefined)
    throw new ForgeError('repository_missing', `the repository has no branch ${branch}`)
  return commit
}

async function merge(
  records: PullRequestRecords,
  input: MergePullRequest,
  signal: AbortSignal,
): Promise<MergeOutcome> {
  const { project, mirror } = input
  const found = await noticeMerge(records, input, await getPullRequest(records, input), signal)
  if (found.status === 'merged')
    return { kind: 'already-merged', commit: found.mergedCommit ?? found.headCommit }
  if (found.status === 'closed') {
    return {
      kind: 'rejected',
      reason: 'pull_request_closed',
      detail: `pull request ${found.number} is closed`,
    }
  }
  const head = await mirror.fetchBranch(found.branch, signal)
  if (head === undefined) {
    return { kind: 'rejected', reason: 'repository_missing', detail: `the branch ${found.branch} is gone` }
  }
  if (head !== (input.expectedHead ?? found.headCommit)) {
    const detail = `the branch ${found.branch} moved on to ${head}; look at it again before merging`
    return { kind: 'rejected', reason: 'changes_requested', detail }
  }
  for (let attempt = 1; ; attempt++) {
    const outcome = await mergeOnce(input, found, head, signal)
    if (outcome.kind === 'merged' || outcome.kind === 'already-merged') {
      const { projectId } = project
      const mergedCommit = outcome.commit
      await records.saveMerged({ projectId, number: found.number, headCommit: head, mergedCommit })
    }
    const isRace = outcome.kind === 'rejected' && outcome.reason === 'push_failed'
    if (!isRace || attempt >= MERGE_COUNT_MAX) return outcome
  }
}

/** Merge in the mirror, then one compare-and-set of the base branch at the repository. */
async function mergeOnce(
  input: MergePullRequest,
  pullRequest: PullRequest,
  head: CommitHash,
  signal: AbortSignal,
): Promise<MergeOutcome> {
  const mirror = asBareMirror(input.mirror)
  const base = await refreshBase(mirror, pullRequest.baseBranch, signal)
  const before = await findMergeOf(mirror.repository, head, base, signal)
  if (before !== undefined) return { kind: 'already-merged', commit: before }
  const message = `Merge ${pullRequest.branch}: ${pullRequest.title}\n\nPull request ${pullRequest.number}\n`
  const merged = await mergeCommits(mirror.repository, { base, head, message, actor: input.actor }, signal)
  if (merged.kind !== 'merged') return merged
  const to = { commit: merged.commit, branch: pullRequest.baseBranch, expected: base }
  const pushed = await mirror.exclusively(signal, () => pushRef(mirror, to, signal))
  return pushed.kind === 'pushed' ? merged : pushed
}
