import { claimTicketSpec } from '../../rest-schema/operations/tickets.ts'
import { NotClaimableError } from '../../store/errors.ts'
import { toHolder } from '../caller.ts'
import { getTicket } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toClaimBody } from '../runs/claim-body.ts'
import { type GiveOutDeps, giveOutClaim } from './give-out-claim.ts'

export function claimTicket(deps: GiveOutDeps) {
  return operation(claimTicketSpec, async ({ params, body, caller, change }) => {
    const ticket = await getTicket(deps.store.read, params.key)
    const holder = toHolder(caller, body.holder)
    const refuse = (detail?: string) => {
      throw new NotClaimableError(ticket.key, ticket.status, detail)
    }
    const input = { ticketId: ticket.id, holder, leaseTtlMs: body.leaseTtlMs }
    return await giveOutClaim(deps, change, input, {
      toAnswer: (claim) =>
        claim === undefined ? refuse() : { status: 200, body: toClaimBody(claim, body.holder) },
      onLeft: refuse,
    })
  })
}
