import { runProcess } from '../../platform/process.ts'
import { type Forge, ForgeError, type ForgeProject, type PullRequestRecords } from '../contract.ts'
import { createMirrors, type MirroringForgeInput } from '../mirrors.ts'
import { pushBranch } from '../push-branch.ts'
import { createRecordedPullRequests } from '../recorded-pull-requests.ts'
import { parseRepositoryUrl } from '../repository-url.ts'

/**
 * A full loop without a server: the repository is a directory of this machine, pull requests are records of the
 * store, and merging happens in the mirror and is pushed. Hooks of that repository never run.
 */
export function createLocalForge(
  input: Omit<MirroringForgeInput, 'credentials'> & { readonly records: PullRequestRecords },
): Forge {
  const mirrors = createMirrors({ ...input, run: runProcess })
  const pullRequests = createRecordedPullRequests(input.records)
  const unsupported = async (): Promise<never> => {
    throw new ForgeError('unsupported', 'the local forge has no checks and no reviews of its own')
  }
  return {
    name: input.name ?? 'local',
    capabilities: { pullRequests: true, checks: false, reviews: false, merge: true },
    async ensureMirror(project, signal) {
      assertDirectory(project)
      return await mirrors.ensure(project, signal)
    },
    async openMirror(project, signal) {
      assertDirectory(project)
      return await mirrors.open(project, signal)
    },
    pushBranch,
    openOrUpdatePullRequest: pullRequests.openOrUpdate,
    findPullRequest: pullRequests.find,
    closePullRequest: pullRequests.close,
    readChecks: unsupported,
    readReviews: unsupported,
    merge: pullRequests.merge,
  }
}

function assertDirectory(project: ForgeProject): void {
  if (parseRepositoryUrl(project.repositoryUrl).kind === 'file') return
  throw new ForgeError(
    'repository_refused',
    'the local forge works on a directory of this machine: give a path, or use the forge `git` for a server',
  )
}
