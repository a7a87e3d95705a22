import type { Row } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { insertEffect } from './insert-effect.ts'

/**
 * Has the ticket's tracker told how the ticket stands. What is sent is how it stands *then*, so one that was not
 * begun to be sent serves later moves as well.
 */
export async function enqueueWriteBack(tx: Tx, ticket: Row<'tickets'>): Promise<void> {
  const waiting = await tx.db
    .selectFrom('effects')
    .select('seq')
    .where('ticket_id', '=', ticket.id)
    .where('kind', '=', 'write_back_ticket')
    .where('status', '=', 'pending')
    .limit(1)
    // One that another process begins to send just now tells how the ticket stood before.
    .$if(tx.dialect.supportsSkipLocked, (query) => query.forNoKeyUpdate())
    .executeTakeFirst()
  if (waiting !== undefined) return
  await insertEffect(tx, {
    key: `write_back:${ticket.id}:${ticket.version}`,
    kind: 'write_back_ticket',
    payload: { ticketId: ticket.id },
    ticketId: ticket.id,
    actor: 'coordinator',
  })
}
