import { runProcess } from '../../platform/process.ts'
import { type Forge, ForgeError } from '../contract.ts'
import { createMirrors, type MirroringForgeInput } from '../mirrors.ts'
import { pushBranch } from '../push-branch.ts'

/** Pushes branches to any remote that speaks git; pull requests are opened by people, on whatever server it is. */
export function createGitForge(input: MirroringForgeInput): Forge {
  const mirrors = createMirrors({ ...input, run: runProcess })
  const unsupported = async (): Promise<never> => {
    throw new ForgeError('unsupported', 'the git forge pushes branches and has no pull requests')
  }
  return {
    name: input.name ?? 'git',
    capabilities: { pullRequests: false, checks: false, reviews: false, merge: false },
    ensureMirror: (project, signal) => mirrors.ensure(project, signal),
    openMirror: (project, signal) => mirrors.open(project, signal),
    pushBranch,
    openOrUpdatePullRequest: unsupported,
    findPullRequest: async () => undefined,
    closePullRequest: unsupported,
    readChecks: unsupported,
    readReviews: unsupported,
    merge: unsupported,
  }
}
