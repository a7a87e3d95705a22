import type { RunId, StepInstanceId, TicketId, WorkflowId } from './id.ts'
import type { JsonObject } from './json.ts'
import type { Reason } from './reason.ts'
import type { RunStatus } from './status.ts'

/** Name of the workflow of a run that an outside agent holds through the API. */
export const EXTERNAL_WORKFLOW = 'external'

/** One execution of a workflow for a ticket. */
export type Run = {
  readonly id: RunId
  readonly ticketId: TicketId
  /** Counted per ticket from 1 */
  readonly number: number
  readonly status: RunStatus
  readonly reason: Reason | null
  readonly detail: string | null
  /** Absent until the translator has routed the ticket */
  readonly workflowId: WorkflowId | null
  /** Name and version as people know them: `code-change@1` */
  readonly workflow: string | null
  readonly inputs: JsonObject
  readonly outputs: JsonObject | null
  /** What was pinned when the run was translated; see `RunPins` */
  readonly pins: RunPins | null
  /** Set for a run that a `workflow` step of another run started */
  readonly parentStepInstanceId: StepInstanceId | null
  /** Not claimed before this instant, `ms` since the epoch: backoff and timers */
  readonly notBefore: number
  readonly lease: Lease
  /** A person asked for its end; the holder obeys */
  readonly cancelRequestedAt: number | null
  readonly createdAt: number
  readonly startedAt: number | null
  readonly finishedAt: number | null
}

/** Facts read once, so that a run finishes on what it began with. */
export type RunPins = {
  /** Newest commit of the base branch when the run began; absent without a repository */
  readonly baseCommit: string | null
  /** Commit that the first workspace holds: the base, or the work of an earlier run of the ticket */
  readonly startCommit: string | null
  readonly baseBranch: string | null
  readonly branch: string | null
  /** Agent chosen by the ticket or a rule; a step's own agent wins */
  readonly agent: string | null
  /** Commands that make a fresh workspace usable, before anything else: argument arrays */
  readonly setup: readonly (readonly string[])[]
  /** Commands of the project's checks: argument arrays */
  readonly checks: readonly (readonly string[])[]
  /** Rule that routed the ticket, for `explain` */
  readonly rule: string
  /** What went wrong in the run before, for the agent */
  readonly feedback: string | null
}

/** Time-limited exclusive right to drive a run; a stale epoch changes nothing. */
export type Lease = {
  /** Coordinator or outside agent that holds it; absent when nobody does */
  readonly holder: string | null
  /** `ms` since the epoch, by the database's clock */
  readonly expiresAt: number | null
  /** Grows with each claim, never falls */
  readonly epoch: number
}

/** What every write by a holder carries. */
export type LeaseProof = { readonly runId: RunId; readonly holder: string; readonly epoch: number }
