import type { Json, JsonObject } from '../domain/json.ts'
import type { Reason } from '../domain/reason.ts'
import type { StepWork } from './step-work.ts'

/**
 * What the engine does next. Decisions are applied in their order, in one transaction where they change
 * state; each one is valid only against the state it was planned from.
 */
export type Decision =
  | {
      readonly kind: 'create-instances'
      readonly stepId: string
      /** Never empty; indexes from 0 without a gap, or one instance with index `null` */
      readonly instances: readonly { readonly index: number | null; readonly item: Json }[]
    }
  | {
      readonly kind: 'start'
      readonly stepId: string
      readonly index: number | null
      readonly work: StepWork
    }
  | {
      readonly kind: 'skip'
      readonly stepId: string
      readonly index: number | null
      readonly reason: Reason
    }
  | {
      readonly kind: 'fail-instance'
      readonly stepId: string
      readonly index: number | null
      readonly reason: Reason
      readonly message: string
    }
  /** Of a run that is going to fail: an instance that waits, or that waits to be tried again, ends at once. */
  | {
      readonly kind: 'cancel-instance'
      readonly stepId: string
      readonly index: number | null
      readonly reason: Reason
    }
  | { readonly kind: 'finish'; readonly status: 'succeeded'; readonly outputs: JsonObject }
  | {
      readonly kind: 'finish'
      readonly status: 'failed'
      /** Reason of the instance that failed first in the workflow's order */
      readonly reason: Reason
      readonly message: string
      readonly outputs: JsonObject
    }
  /** Plan again at this instant at the latest, `ms` since the epoch: a retry becomes due. */
  | { readonly kind: 'wait-until'; readonly at: number }

export type PlanLimits = {
  /** Current instant, `ms` since the epoch */
  readonly now: number
  /** Instances that take a slot (`takesSlot`) the host lets this run start now */
  readonly slots: number
}
