import type { CoordinatorControl, RouteExplanation } from '../../coordinator/control.ts'
import type { TicketId } from '../../domain/id.ts'
import { isReason } from '../../domain/reason.ts'
import { explainTicketSpec } from '../../rest-schema/operations/tickets.ts'
import type { Store } from '../../store/contract.ts'
import { getTicket } from '../find-by-ref.ts'
import { operation } from '../operation.ts'

/** As on the ticket itself */
const DETAIL_CHARS_MAX = 8_000

export type ExplainTicketDeps = {
  readonly store: Pick<Store, 'read'>
  readonly control: Pick<CoordinatorControl, 'explainRoute'>
}

export function explainTicket({ store, control }: ExplainTicketDeps) {
  return operation(explainTicketSpec, async ({ params }) => {
    const { id } = await getTicket(store.read, params.key)
    const { rules, result } = await explainOrRefuse(control, id)
    return { status: 200, body: { rules: rules.map((rule) => ({ ...rule })), result } }
  })
}

/** What would end the ticket's run before any rule is asked is the explanation, not a failure to explain. */
async function explainOrRefuse(
  control: ExplainTicketDeps['control'],
  ticketId: TicketId,
): Promise<RouteExplanation> {
  try {
    return await control.explainRoute(ticketId)
  } catch (error) {
    if (!hasReason(error)) throw error
    return { rules: [], result: { kind: 'unroutable', detail: error.message.slice(0, DETAIL_CHARS_MAX) } }
  }
}

/** A run's end in the making: its words are for the ticket, and so for people. */
function hasReason(error: unknown): error is Error {
  return (
    error instanceof Error && 'reason' in error && typeof error.reason === 'string' && isReason(error.reason)
  )
}
