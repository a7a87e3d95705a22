import type { AttemptId, RunId, SandboxId, SignalId, StepInstanceId, WaitId } from './id.ts'
import type { Json, JsonObject } from './json.ts'
import type { Reason } from './reason.ts'
import type { AttemptStatus, StepStatus } from './status.ts'

/** A step within a run; a `for-each` step has several. */
export type StepInstance = {
  readonly id: StepInstanceId
  readonly runId: RunId
  /** The step's `id` in the workflow */
  readonly stepId: string
  /** Position within a `for-each`, from 0; absent for a plain step */
  readonly index: number | null
  /** What people say: `build` or `build[3]` */
  readonly key: string
  readonly kind: string
  readonly status: StepStatus
  readonly reason: Reason | null
  readonly detail: string | null
  /** The element of the `for-each` */
  readonly item: Json
  /** `with` after references were resolved, kept when the first attempt starts */
  readonly inputs: JsonObject | null
  readonly outputs: JsonObject | null
  /** No attempt before this instant, `ms` since the epoch */
  readonly notBefore: number
  readonly attemptCount: number
  readonly startedAt: number | null
  readonly finishedAt: number | null
}

/** `build` or `build[3]`. */
export function toInstanceKey(stepId: string, index: number | null): string {
  return index === null ? stepId : `${stepId}[${index}]`
}

/** Where an attempt is in `launch → await → harvest`; kept so that another process can go on. */
export type AttemptPhase = 'launching' | 'awaiting' | 'harvesting'

/** One try of a step instance. */
export type Attempt = {
  readonly id: AttemptId
  readonly runId: RunId
  readonly stepInstanceId: StepInstanceId
  /** Counted from 1 */
  readonly number: number
  readonly status: AttemptStatus
  readonly phase: AttemptPhase
  readonly reason: Reason | null
  readonly detail: string | null
  readonly sandboxId: SandboxId | null
  /** What the executor needs to re-attach; its own, opaque to the store */
  readonly handle: JsonObject | null
  readonly exitCode: number | null
  readonly outputs: JsonObject | null
  /** Commit that the workspace started from */
  readonly baseCommit: string | null
  /** Commit that was brought home */
  readonly resultCommit: string | null
  readonly startedAt: number
  readonly finishedAt: number | null
}

export type WaitKind = 'approval' | 'question' | 'timer' | 'signal' | 'effect' | 'run'

/** A parked step instance and what it waits for: no sandbox and no slot is held. */
export type Wait = {
  readonly id: WaitId
  readonly runId: RunId
  readonly stepInstanceId: StepInstanceId
  readonly kind: WaitKind
  /** What a person is asked, the effect's or run's id, the signal's name */
  readonly subject: string
  /** When a timer fires or an approval expires, `ms` since the epoch */
  readonly deadlineAt: number | null
  readonly createdAt: number
  readonly resolvedAt: number | null
  readonly resolvedBy: string | null
  readonly resolution: JsonObject | null
}

/** A signal that arrived before anyone waited for it is kept, not lost. */
export type Signal = {
  readonly id: SignalId
  readonly runId: RunId
  readonly name: string
  readonly payload: JsonObject
  readonly createdAt: number
  readonly consumedAt: number | null
}
