import type { BodyInputOf } from '../rest-schema/operation.ts'
import type { failRunSpec } from '../rest-schema/operations/runs.ts'

type FailBody = BodyInputOf<typeof failRunSpec>

/** Thrown by the work of an outside agent to say more than "it failed". */
export class TicketFailed extends Error {
  override readonly name = 'TicketFailed'
  /** From the closed list; decides whether the ticket is tried again */
  readonly reason: NonNullable<FailBody['reason']>
  /** No further run, whatever the reason allows */
  readonly isFinal: boolean
  readonly outputs: FailBody['outputs']

  constructor(detail: string, more: Partial<Pick<FailBody, 'reason' | 'isFinal' | 'outputs'>> = {}) {
    super(detail)
    this.reason = more.reason ?? 'agent_failed'
    this.isFinal = more.isFinal ?? false
    this.outputs = more.outputs
  }
}

const DETAIL_CHARS_MAX = 10_000

/** Any thrown thing as the report of a failure, in characters that the API takes. */
export function toFailure(error: unknown): Pick<FailBody, 'reason' | 'detail' | 'isFinal' | 'outputs'> {
  const text = error instanceof Error ? error.message : String(error)
  const detail = text.replaceAll('\0', '').slice(0, DETAIL_CHARS_MAX).toWellFormed() || 'no message'
  if (!(error instanceof TicketFailed)) return { reason: 'agent_failed', detail }
  const { reason, isFinal, outputs } = error
  return { reason, detail, isFinal, ...(outputs === undefined ? {} : { outputs }) }
}
