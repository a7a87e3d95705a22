import type { TicketId } from '../../domain/id.ts'
import type { Ticket } from '../../domain/ticket.ts'
import { ConflictError } from '../errors.ts'
import { type Row, toTicket } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { getTicketRow } from './move-ticket.ts'
import { queueTicket, settleDependents } from './queue-ticket.ts'

export async function retryTicket(tx: Tx, input: { ticketId: TicketId; actor: string }): Promise<Ticket> {
  const ticket = await getTicketRow(tx, input.ticketId)
  if (ticket.status !== 'failed' && ticket.status !== 'canceled') {
    throw new ConflictError(`${ticket.key} is ${ticket.status}: only a failed or canceled ticket is retried`)
  }
  return toTicket(await beginAnew(tx, ticket, input.actor))
}

/** Back to the queue as if nothing had been tried, by somebody who decides that. */
export async function beginAnew(tx: Tx, ticket: Row<'tickets'>, actor: string): Promise<Row<'tickets'>> {
  const queued = await queueTicket(tx, ticket, { run_count: 0, not_before: 0, outputs: null })
  tx.emit({
    type: 'ticket.requeued',
    actor,
    ticketId: ticket.id,
    data: { from: ticket.status, reason: ticket.reason },
  })
  await settleDependents(tx, ticket.id)
  return queued
}
