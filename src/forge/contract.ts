import type { ProjectId, PullRequestId, RunId, TicketId } from '../domain/id.ts'
import type { Reason } from '../domain/reason.ts'
import type { PullRequestStatus } from '../domain/status.ts'
import type { CommitHash, Diff, Mirror } from './mirror-contract.ts'

export type { CommitHash, Mirror } from './mirror-contract.ts'

/**
 * Where branches and pull requests live. Called on the host only; no sandbox holds a forge's credential.
 *
 * Every method may be repeated, also after a crash between its effect and the caller's note of it: a branch is
 * found again by its name, a pull request by (project, branch), a merge by its head being contained. Methods may
 * run concurrently for different branches; for one branch the caller sends one at a time.
 */
export interface Forge {
  /** As configured; projects name it */
  readonly name: string
  readonly capabilities: ForgeCapabilities

  /**
   * The project's bare mirror with the default branch as the remote has it now. Creates it when missing.
   * @throws ForgeError `repository_missing`, `repository_refused`, `credential_refused`, `network_failed`, …
   */
  ensureMirror(project: ForgeProject, signal: AbortSignal): Promise<Mirror>

  /**
   * The project's mirror as it is on disk, without asking the remote: what work in progress needs goes on while
   * the remote is away. Made by ensureMirror when there is none yet.
   */
  openMirror(project: ForgeProject, signal: AbortSignal): Promise<Mirror>

  /** Makes the remote's branch point at the commit. Trouble on the way is an outcome too: nothing is lost, the
   * commit stays in the mirror. Throws only when the signal aborts or the caller asks for the impossible. */
  pushBranch(input: PushBranch, signal: AbortSignal): Promise<PushOutcome>

  /** Opens the branch's pull request, or brings the open one up to date. Needs `capabilities.pullRequests`. */
  openOrUpdatePullRequest(input: OpenPullRequest, signal: AbortSignal): Promise<PullRequestOutcome>

  /** The newest pull request of a branch, with the status the forge sees now (merged by hand counts as merged). */
  findPullRequest(input: FindPullRequest, signal: AbortSignal): Promise<PullRequest | undefined>

  /** Closes without merging; one that is no longer open is returned as it is. Needs `capabilities.pullRequests`. */
  closePullRequest(input: NamedPullRequest, signal: AbortSignal): Promise<PullRequest>

  /** Needs `capabilities.checks`. */
  readChecks(input: NamedPullRequest, signal: AbortSignal): Promise<readonly Check[]>

  /** Needs `capabilities.reviews`. */
  readReviews(input: NamedPullRequest, signal: AbortSignal): Promise<readonly Review[]>

  /** Merges the pull request into its base branch. Needs `capabilities.merge`. */
  merge(input: MergePullRequest, signal: AbortSignal): Promise<MergeOutcome>
}

/** What a forge can do; asking for what is missing throws ForgeError `unsupported`. */
export type ForgeCapabilities = {
  readonly pullRequests: boolean
  readonly checks: boolean
  readonly reviews: boolean
  readonly merge: boolean
}

/** A project's repository, as its registration describes it. */
export type ForgeProject = {
  readonly projectId: ProjectId
  /** Absolute path, `file://`, `https://`, `ssh://` or `user@host:path`; `http://` to loopback only */
  readonly repositoryUrl: string
  /** Branch that tickets start from and are merged into, such as `main` */
  readonly defaultBranch: string
  /** Name of the secret to log in with; the value comes from ForgeCredentials, never from the URL */
  readonly credential?: string
}

/** Implemented by the composition root over the daemon's secrets. */
export interface ForgeCredentials {
  find(name: string): Promise<ForgeCredential | undefined>
}
export type ForgeCredential = {
  readonly username: string
  readonly secret: string
  /** Hosts it may be sent to, `host` or `host:port`; without this, to whatever address a project names */
  readonly hosts?: readonly string[]
}

export type PushBranch = {
  readonly project: ForgeProject
  readonly mirror: Mirror
  readonly commit: CommitHash
  /** Without `refs/heads/`; begins with `swarm/` (see toBranchName) */
  readonly branch: string
}

export type PushOutcome =
  | { readonly kind: 'pushed'; readonly commit: CommitHash; readonly previous?: CommitHash }
  | { readonly kind: 'unchanged'; readonly commit: CommitHash }
  /** `detail` is one bounded text for people, free of secrets; whether to repeat follows from the reason's class */
  | { readonly kind: 'rejected'; readonly reason: Reason; readonly detail: string }

export type OpenPullRequest = {
  readonly project: ForgeProject
  readonly mirror: Mirror
  readonly ticketId: TicketId
  readonly runId: RunId
  readonly branch: string
  /** Commit that pushBranch put on the branch */
  readonly commit: CommitHash
  /** Default: the project's default branch */
  readonly baseBranch?: string
  readonly title: string
  readonly body: string
}

export type PullRequestOutcome =
  | {
      readonly kind: 'opened' | 'updated' | 'unchanged'
      readonly pullRequest: PullRequest
      /** Where the branch left the base branch */
      readonly baseCommit: CommitHash
      /** From there to the head, bounded */
      readonly diff: Diff
    }
  /** Nothing to propose: the base branch contains the commit (`no_change`) */
  | { readonly kind: 'rejected'; readonly reason: Reason; readonly detail: string }

export type FindPullRequest = {
  readonly project: ForgeProject
  readonly mirror: Mirror
  readonly branch: string
}

export type NamedPullRequest = {
  readonly project: ForgeProject
  readonly mirror: Mirror
  readonly number: number
}

export type PullRequest = {
  /** Our identifier where the store keeps it (`local`), else absent */
  readonly id?: PullRequestId
  /** Counted per project, from 1 */
  readonly number: number
  /** Page to look at it, when the forge has one */
  readonly url?: string
  readonly status: PullRequestStatus
  readonly branch: string
  readonly baseBranch: string
  readonly title: string
  readonly body: string
  /** Newest commit of the branch that the pull request knows */
  readonly headCommit: CommitHash
  /** Commit of the base branch that carries the work; present when `status` is `merged` */
  readonly mergedCommit?: CommitHash
}

export type Check = {
  readonly name: string
  readonly status: 'pending' | 'passed' | 'failed' | 'skipped'
  readonly summary?: string
  readonly url?: string
}

export type Review = {
  /** The forge's own identifier, stable */
  readonly id: string
  readonly author: string
  readonly verdict: 'approved' | 'changes_requested' | 'commented'
  readonly body: string
  readonly path?: string
  readonly line?: number
  /** `ms` since the epoch */
  readonly submittedAt: number
}

export type MergePullRequest = NamedPullRequest & {
  /** When given, a branch that has moved on since is not merged */
  readonly expectedHead?: CommitHash
  /** Who merges, for the merge commit */
  readonly actor: { readonly name: string; readonly email: string }
}

export type MergeOutcome =
  | { readonly kind: 'merged'; readonly commit: CommitHash }
  | { readonly kind: 'already-merged'; readonly commit: CommitHash }
  | { readonly kind: 'conflict'; readonly files: readonly string[]; readonly detail: string }
  | { readonly kind: 'rejected'; readonly reason: Reason; readonly detail: string }

/**
 * Where a forge without a server keeps its pull requests: the store, behind the composition root.
 * Each method is one transaction. At most one pull request of (project, branch) is open at any time.
 */
export interface PullRequestRecords {
  /**
   * Brings the open pull request of (project, branch) up to date, or opens one with the project's next number.
   * A newest one that is merged or closed at this very head is returned `unchanged` instead of opening another.
   */
  saveOpen(input: PullRequestDraft): Promise<{
    readonly kind: 'opened' | 'updated' | 'unchanged'
    readonly pullRequest: PullRequest
  }>
  /** The newest of the branch, whatever its status */
  findByBranch(projectId: ProjectId, branch: string): Promise<PullRequest | undefined>
  findByNumber(projectId: ProjectId, number: number): Promise<PullRequest | undefined>
  /** `open` → `merged`; repeated on a merged one it changes nothing. */
  saveMerged(input: {
    readonly projectId: ProjectId
    readonly number: number
    readonly headCommit: CommitHash
    readonly mergedCommit: CommitHash
  }): Promise<PullRequest>
  /** `open` → `closed`; anything else is returned as it is. */
  saveClosed(input: { readonly projectId: ProjectId; readonly number: number }): Promise<PullRequest>
}

export type PullRequestDraft = {
  readonly projectId: ProjectId
  readonly ticketId: TicketId
  readonly runId: RunId
  readonly branch: string
  readonly baseBranch: string
  readonly headCommit: CommitHash
  /** Where the branch left the base branch; the diff is between the two */
  readonly baseCommit: CommitHash
  readonly title: string
  readonly body: string
  readonly diff: Diff
}

export type ForgeErrorCode =
  /** No repository, or no such branch, at the address */
  | 'repository_missing'
  /** The address or the repository is one that we do not use, on purpose */
  | 'repository_refused'
  /** Not logged in, or not allowed */
  | 'credential_refused'
  | 'network_failed'
  | 'timed_out'
  | 'disk_full'
  /** git failed in a way that none of the others names */
  | 'git_failed'
  | 'unsupported'

const REASON_OF: Readonly<Record<ForgeErrorCode, Reason>> = {
  repository_missing: 'repository_missing',
  repository_refused: 'repository_refused',
  credential_refused: 'repository_refused',
  network_failed: 'network_failed',
  timed_out: 'network_failed',
  disk_full: 'disk_full',
  git_failed: 'forge_failed',
  unsupported: 'driver_unsupported',
}

/** Trouble with a forge or a mirror. `message` says what was attempted and what the operator can do; no secrets. */
export class ForgeError extends Error {
  readonly code: ForgeErrorCode
  /** The step's reason; decides whether to try again */
  readonly reason: Reason

  constructor(code: ForgeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ForgeError'
    this.code = code
    this.reason = REASON_OF[code]
  }
}
