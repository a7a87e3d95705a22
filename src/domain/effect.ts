import type { EffectId, RunId, StepInstanceId, TicketId } from './id.ts'
import type { JsonObject } from './json.ts'
import type { Reason } from './reason.ts'
import type { EffectStatus } from './status.ts'

export type EffectKind =
  | 'publish_pull_request'
  | 'merge_pull_request'
  | 'close_pull_request'
  | 'http_request'
  | 'write_back_ticket'

/** A change to the outside world, written in the transaction that decided it and sent after. */
export type Effect = {
  readonly id: EffectId
  /** Idempotency key: (run, step instance, attempt) and the kind; the epoch is never part of it */
  readonly key: string
  readonly kind: EffectKind
  readonly ticketId: TicketId
  readonly runId: RunId | null
  readonly stepInstanceId: StepInstanceId | null
  readonly payload: JsonObject
  readonly status: EffectStatus
  readonly attemptCount: number
  readonly notBefore: number
  readonly result: JsonObject | null
  readonly reason: Reason | null
  readonly detail: string | null
  readonly createdAt: number
  readonly finishedAt: number | null
}
