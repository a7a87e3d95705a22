import type { ProjectId } from '../domain/id.ts'
import { isBranchName } from './branch-name.ts'
import { ForgeError } from './contract.ts'
import { exclusively } from './exclusive.ts'
import { firstLine, type Git } from './git-command.ts'
import { mergeWork } from './merge-commits.ts'
import type { CommitHash, ImportBundle, Mirror } from './mirror-contract.ts'
import { diffCommits } from './mirror-diff.ts'
import { exportBundle } from './mirror-export.ts'
import { importBundle } from './mirror-import.ts'
import { isAncestor, listFilesAt, log, mergeBase, readFileAt, resolveCommit } from './mirror-read.ts'
import { compact, park, pruneRefs } from './mirror-retention.ts'
import type { Remote } from './remote.ts'

/** A bare repository that only this host writes. */
export type MirrorRepository = {
  readonly git: Git
  readonly gitDir: string
  /** Folder for short-lived repositories, on the same file system */
  readonly scratchDir: string
}

/** The mirror of every forge that speaks git. */
export class BareMirror implements Mirror {
  readonly projectId: ProjectId
  readonly defaultBranch: string
  readonly repository: MirrorRepository
  readonly remote: Remote

  constructor(input: {
    readonly projectId: ProjectId
    readonly defaultBranch: string
    readonly repository: MirrorRepository
    readonly remote: Remote
  }) {
    this.projectId = input.projectId
    this.defaultBranch = input.defaultBranch
    this.repository = input.repository
    this.remote = input.remote
  }

  async defaultCommit(signal: AbortSignal) {
    const commit = await this.resolve(toRemoteRef(this.defaultBranch), signal)
    if (commit === undefined) {
      throw new ForgeError('repository_missing', `the mirror has no branch ${this.defaultBranch} yet`)
    }
    return commit
  }

  async fetchBranch(branch: string, signal: AbortSignal) {
    const commit = await readRemoteBranch(this, branch, signal)
    if (commit === undefined) return undefined
    await this.exclusively(signal, () => fetchBranch(this.repository, this.remote, branch, signal))
    return await this.resolve(toRemoteRef(branch), signal)
  }

  resolve(refOrCommit: string, signal: AbortSignal) {
    return resolveCommit(this.repository, refOrCommit, signal)
  }

  exportBundle(input: { readonly commit: CommitHash; readonly path: string }, signal: AbortSignal) {
    return exportBundle(this.repository, input, signal)
  }

  importBundle(input: ImportBundle, signal: AbortSignal) {
    return importBundle(this.repository, input, signal)
  }

  diff(
    input: { readonly from: CommitHash; readonly to: CommitHash; readonly textBytesMax?: number },
    signal: AbortSignal,
  ) {
    return diffCommits(this.repository, input, signal)
  }

  readFileAt(
    input: { readonly commit: CommitHash; readonly path: string; readonly bytesMax?: number },
    signal: AbortSignal,
  ) {
    return readFileAt(this.repository, input, signal)
  }

  listFilesAt(input: { readonly commit: CommitHash; readonly directory: string }, signal: AbortSignal) {
    return listFilesAt(this.repository, input, signal)
  }

  mergeBase(a: CommitHash, b: CommitHash, signal: AbortSignal) {
    return mergeBase(this.repository, a, b, signal)
  }

  isAncestor(ancestor: CommitHash, descendant: CommitHash, signal: AbortSignal) {
    return isAncestor(this.repository, ancestor, descendant, signal)
  }

  log(
    input: { readonly from?: CommitHash; readonly to: CommitHash; readonly countMax?: number },
    signal: AbortSignal,
  ) {
    return log(this.repository, input, signal)
  }

  mergeCommits(
    input: { readonly ours: CommitHash; readonly theirs: CommitHash; readonly ref: string },
    signal: AbortSignal,
  ) {
    return this.exclusively(signal, () => mergeWork(this.repository, input, signal))
  }

  async listRefs(prefix: string, signal: AbortSignal) {
    if (!/^refs\/(?:[A-Za-z0-9_=.-]+\/)*$/.test(prefix)) throw new Error(`not a prefix of refs: ${prefix}`)
    const { stdout } = await this.repository.git({
      attempt: 'list refs',
      args: ['for-each-ref', '--format=%(objectname) %(refname)', prefix],
      gitDir: this.repository.gitDir,
      signal,
    })
    return stdout
      .toString('utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const space = line.indexOf(' ')
        return { commit: line.slice(0, space), ref: line.slice(space + 1) }
      })
  }

  park(input: { readonly commit: CommitHash; readonly name: string }, signal: AbortSignal) {
    return this.exclusively(signal, () => park(this.repository, input, signal))
  }

  pruneRefs(refs: readonly string[], signal: AbortSignal) {
    return this.exclusively(signal, () => pruneRefs(this.repository, refs, signal))
  }

  compact(signal: AbortSignal) {
    return this.exclusively(signal, () => compact(this.repository, signal))
  }

  exclusively<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return exclusively(this.repository.gitDir, signal, work)
  }
}

/** The forges' own view of a mirror that they made. */
export function asBareMirror(mirror: Mirror): BareMirror {
  if (!(mirror instanceof BareMirror))
    throw new Error('the mirror was not made by ensureMirror of this forge')
  return mirror
}

/** Where the mirror remembers what a branch of the remote points at. */
export function toRemoteRef(branch: string): string {
  return `refs/remotes/origin/${branch}`
}

const FETCH_TIMEOUT_MS = 600_000

/** Makes the mirror's memory of a branch equal to the remote's branch, also after a force-push there. */
export async function fetchBranch(
  { git, gitDir }: MirrorRepository,
  remote: Remote,
  branch: string,
  signal: AbortSignal,
): Promise<void> {
  assertBranch(branch)
  await git({
    attempt: `fetch the branch ${branch}`,
    args: [
      'fetch',
      '--quiet',
      '--no-tags',
      '--no-write-fetch-head',
      ...remote.fetchOptions,
      '--',
      remote.url,
      `+refs/heads/${branch}:${toRemoteRef(branch)}`,
    ],
    gitDir,
    env: remote.env,
    signal,
    timeoutMs: FETCH_TIMEOUT_MS,
  })
}

/** What the remote's branch points at right now; `undefined` when it has no such branch. */
export async function readRemoteBranch(
  { repository, remote }: BareMirror,
  branch: string,
  signal: AbortSignal,
): Promise<CommitHash | undefined> {
  assertBranch(branch)
  const result = await repository.git({
    attempt: `read the branch ${branch} of the remote`,
    args: ['ls-remote', '--quiet', ...remote.fetchOptions, '--', remote.url, `refs/heads/${branch}`],
    gitDir: repository.gitDir,
    env: remote.env,
    signal,
  })
  const [commit, ref] = firstLine(result).split('\t')
  return ref === `refs/heads/${branch}` ? commit : undefined
}

function assertBranch(branch: string): void {
  if (!isBranchName(branch)) {
    throw new ForgeError('repository_refused', `${JSON.stringify(branch)} is not a name for a branch`)
  }
}
