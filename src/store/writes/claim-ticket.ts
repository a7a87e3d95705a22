import { EXTERNAL_WORKFLOW } from '../../domain/run.ts'
import type { Claim, ClaimTicketInput } from '../contract.ts'
import { NotClaimableError } from '../errors.ts'
import type { Tx } from '../transaction.ts'
import { beginRun } from './claim-next.ts'
import { findBestTicket } from './claim-order.ts'
import { getTicketRow } from './move-ticket.ts'

export async function claimTicket(tx: Tx, input: ClaimTicketInput): Promise<Claim | undefined> {
  if (input.ticketId === undefined) {
    const best = await findBestTicket(tx, { ...input, claimant: 'outside_agent' })
    return best === undefined ? undefined : await beginRun(tx, best, input, EXTERNAL_WORKFLOW)
  }
  const ticket = await getTicketRow(tx, input.ticketId)
  if (ticket.status !== 'pending') throw new NotClaimableError(ticket.key, ticket.status)
  if (ticket.not_before > tx.now) {
    throw new NotClaimableError(
      ticket.key,
      ticket.status,
      `not before ${new Date(ticket.not_before).toISOString()}`,
    )
  }
  return await beginRun(tx, ticket, input, EXTERNAL_WORKFLOW)
}
