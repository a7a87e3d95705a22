import type { ProjectId, PullRequestId, RunId, TicketId } from './id.ts'
import type { PullRequestStatus } from './status.ts'

export type ReviewState = 'none' | 'approved' | 'changes_requested'

/** A proposed change on a forge, with its diff as it was when last pushed. */
export type PullRequest = {
  readonly id: PullRequestId
  readonly projectId: ProjectId
  readonly ticketId: TicketId
  readonly runId: RunId
  readonly forge: string
  /** Number on the forge; the `local` forge counts per project */
  readonly number: number
  readonly title: string
  readonly body: string
  readonly branch: string
  readonly baseBranch: string
  readonly headCommit: string
  readonly baseCommit: string
  readonly mergeCommit: string | null
  readonly status: PullRequestStatus
  readonly reviewState: ReviewState
  /** Unified diff, cut at the forge's bound */
  readonly diff: string
  readonly isDiffTruncated: boolean
  readonly additionCount: number
  readonly deletionCount: number
  readonly changedFiles: readonly string[]
  readonly url: string | null
  readonly createdAt: number
  readonly updatedAt: number
  readonly mergedAt: number | null
}
