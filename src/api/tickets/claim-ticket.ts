import { claimTicketSpec } from '../../rest-schema/operations/tickets.ts'
import type { Store } from '../../store/contract.ts'
import { NotClaimableError } from '../../store/errors.ts'
import { toHolder } from '../caller.ts'
import { getTicket } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toClaimBody } from '../runs/claim-body.ts'

export function claimTicket({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(claimTicketSpec, async ({ params, body, caller, change }) => {
    const ticket = await getTicket(store.read, params.key)
    const holder = toHolder(caller, body.holder)
    return await change(async (write) => {
      const claim = await write.claimTicket({ ticketId: ticket.id, holder, leaseTtlMs: body.leaseTtlMs })
      if (claim === undefined) throw new NotClaimableError(ticket.key, ticket.status)
      return { status: 200, body: toClaimBody(claim, body.holder) }
    })
  })
}
