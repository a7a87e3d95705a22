import type { TicketId } from '../../domain/id.ts'
import type { Comment } from '../../domain/records.ts'
import { toComment } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { getTicketRow } from './move-ticket.ts'

export async function addComment(
  tx: Tx,
  input: { ticketId: TicketId; author: string; body: string },
): Promise<Comment> {
  await getTicketRow(tx, input.ticketId)
  const row = await tx.db
    .insertInto('comments')
    .values({
      id: tx.newId('comment'),
      ticket_id: input.ticketId,
      author: input.author,
      body: input.body,
      created_at: tx.now,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  tx.emit({
    type: 'ticket.commented',
    actor: input.author,
    ticketId: input.ticketId,
    data: { commentId: row.id },
  })
  return toComment(row)
}
