import type { Json, JsonObject } from '../domain/json.ts'
import type { Reason } from '../domain/reason.ts'
import type { StepStatus } from '../domain/status.ts'

/**
 * Everything the planner knows of a run. `inputs`, `ticket`, `project` and `run` are those of the moment the
 * run started: a decision taken twice must come out the same.
 */
export type RunState = {
  /** Complete inputs: what `resolveInputs` gave */
  readonly inputs: JsonObject
  readonly ticket: TicketFacts
  readonly project: ProjectFacts
  readonly run: RunFacts
  readonly instances: readonly StepInstanceState[]
}

/** `${ticket.…}` */
export type TicketFacts = {
  readonly id: string
  /** `WEB-12` */
  readonly key: string
  readonly title: string
  readonly body: string
  readonly type: string
  /** 1 is the most urgent, 5 the least */
  readonly priority: number
  readonly labels: readonly string[]
}

/** `${project.…}` */
export type ProjectFacts = {
  readonly id: string
  readonly key: string
  readonly name: string
  readonly repositoryUrl: string | null
  readonly defaultBranch: string
  /** Commands the project declares as its checks, argument arrays */
  readonly checks: readonly (readonly string[])[]
}

/** `${run.…}` */
export type RunFacts = {
  readonly id: string
  /** Which run of its ticket this is, counted from 1 */
  readonly number: number
  /** Branch of the work, when there is one */
  readonly branch: string | null
  /** Agent chosen by the ticket or a routing rule */
  readonly agent: string | null
  /** What went wrong before, for a further run */
  readonly feedback: string | null
}

/**
 * One instance of a step. A plain step has one, with index `null`; so has a `for-each` step that was skipped
 * or failed before it was fanned out.
 */
export type StepInstanceState = {
  readonly stepId: string
  /** Place in the list of `for-each`, from 0; `null` for a plain step */
  readonly index: number | null
  readonly status: StepStatus
  readonly reason?: Reason | null | undefined
  /** Instant before which no attempt starts, `ms` since the epoch */
  readonly notBefore?: number | null | undefined
  readonly attemptCount: number
  readonly outputs?: Json | undefined
  /** Element of the list of `for-each` */
  readonly item?: Json | undefined
}
