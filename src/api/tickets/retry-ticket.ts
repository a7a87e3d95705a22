import { retryTicketSpec } from '../../rest-schema/operations/tickets.ts'
import type { Store } from '../../store/contract.ts'
import { getTicket } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toTicketBody } from '../ticket-body.ts'

export type RetryTicketDeps = { readonly store: Pick<Store, 'read'>; readonly control: { wake(): void } }

export function retryTicket({ store, control }: RetryTicketDeps) {
  return operation(retryTicketSpec, async ({ params, caller, change }) => {
    const { id: ticketId } = await getTicket(store.read, params.key)
    return await change(async (write) => {
      const ticket = await write.retryTicket({ ticketId, actor: caller.actor })
      return {
        status: 200,
        body: toTicketBody(ticket),
        version: ticket.version,
        after: () => control.wake(),
      }
    })
  })
}
