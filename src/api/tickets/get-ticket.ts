import { getTicketSpec } from '../../rest-schema/operations/tickets.ts'
import type { Store } from '../../store/contract.ts'
import { getTicket as findByRef } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toTicketBody } from '../ticket-body.ts'

export function getTicket({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(getTicketSpec, async ({ params }) => {
    const ticket = await findByRef(store.read, params.key)
    return { status: 200, body: toTicketBody(ticket), version: ticket.version }
  })
}
