import type { CoordinatorControl } from '../../coordinator/control.ts'
import { explainTicketSpec } from '../../rest-schema/operations/tickets.ts'
import type { Store } from '../../store/contract.ts'
import { getTicket } from '../find-by-ref.ts'
import { operation } from '../operation.ts'

export type ExplainTicketDeps = {
  readonly store: Pick<Store, 'read'>
  readonly control: Pick<CoordinatorControl, 'explainRoute'>
}

export function explainTicket({ store, control }: ExplainTicketDeps) {
  return operation(explainTicketSpec, async ({ params }) => {
    const { id } = await getTicket(store.read, params.key)
    const { rules, result } = await control.explainRoute(id)
    return { status: 200, body: { rules: rules.map((rule) => ({ ...rule })), result } }
  })
}
