import type { ProjectId, PullRequestId, RunId, TicketId } from './id.ts'
import type { JsonObject } from './json.ts'
import type { Reason } from './reason.ts'
import type { TicketStatus } from './status.ts'

/** The request for work, as people track it. */
export type Ticket = {
  readonly id: TicketId
  readonly projectId: ProjectId
  /** What people say: `WEB-12` */
  readonly key: string
  readonly number: number
  readonly title: string
  readonly body: string
  /** Free word used by routing rules: `bug`, `feature` … */
  readonly type: string
  readonly labels: readonly string[]
  /** 1 is the most urgent, 5 the least; 3 when nothing is said */
  readonly priority: number
  readonly status: TicketStatus
  /** Why it failed, waits, is blocked or was canceled */
  readonly reason: Reason | null
  /** One sentence for a person */
  readonly detail: string | null
  /** Explicit workflow, `name` or `name@version` */
  readonly workflow: string | null
  /** Explicit agent */
  readonly agent: string | null
  readonly inputs: JsonObject
  /** What its last run gave back */
  readonly outputs: JsonObject | null
  /** Not claimed before this instant, `ms` since the epoch */
  readonly notBefore: number
  /** Runs begun since it was created or requeued by a person */
  readonly runCount: number
  readonly currentRunId: RunId | null
  readonly branch: string | null
  readonly pullRequestId: PullRequestId | null
  /** Set when every retry was used up: the ticket is a dead letter */
  readonly deadAt: number | null
  /** Tracker that it was mirrored from, and what it is called there; `null`: it is our own */
  readonly tracker: string | null
  readonly externalId: string | null
  readonly createdBy: string
  readonly createdAt: number
  readonly updatedAt: number
  readonly finishedAt: number | null
  /** Grows with each change of the ticket's own fields; the ETag of the API */
  readonly version: number
}

export const PRIORITY_DEFAULT = 3
export const TITLE_CHARS_MAX = 500
/** A body larger than this is refused at the door */
export const BODY_CHARS_MAX = 1_048_576
export const LABEL_COUNT_MAX = 50

/** The parts of a key such as `WEB-12`, or `undefined` when the text is none. */
export function parseTicketKey(text: string): { projectKey: string; number: number } | undefined {
  const match = /^([A-Z][A-Z0-9]{1,9})-([1-9][0-9]{0,8})$/.exec(text)
  if (match?.[1] === undefined || match[2] === undefined) return undefined
  return { projectKey: match[1], number: Number(match[2]) }
}
