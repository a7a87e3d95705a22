import type { LeaseProof } from '../../domain/run.ts'
import type { Tx } from '../transaction.ts'
import { changeRef } from './external-refs.ts'
import { aboutRun, actorOf, requireLease } from './move-run.ts'
import { changeTicket, getTicketRow } from './move-ticket.ts'

export async function recordTake(tx: Tx, input: LeaseProof & { word: string }): Promise<void> {
  const run = await requireLease(tx, input)
  const ticket = await getTicketRow(tx, run.ticket_id)
  // What kept it waiting before was said on the ticket.
  if (ticket.reason !== null) await changeTicket(tx, ticket, { reason: null, detail: null })
  if (!(await changeRef(tx, ticket, { word: input.word, standing: 'ours' }))) return
  tx.emit({
    ...aboutRun(run),
    type: 'ticket.taken',
    actor: actorOf(run),
    data: { tracker: ticket.tracker, externalId: ticket.external_id, word: input.word },
  })
}
