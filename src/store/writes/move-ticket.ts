import type { Updateable } from 'kysely'
import { isWrittenBack } from '../../domain/external-ref.ts'
import type { TicketId } from '../../domain/id.ts'
import { isTerminal, isTransition, type TicketStatus } from '../../domain/status.ts'
import { ConflictError, IllegalTransitionError, NotFoundError } from '../errors.ts'
import { prepareQuery, prepareUpdate } from '../prepared-query.ts'
import type { Row } from '../rows.ts'
import type { TicketsTable } from '../schema.ts'
import type { Tx } from '../transaction.ts'
import { enqueueWriteBack } from './write-back.ts'

/**
 * Moves the ticket along the table of transitions, with further changes in the same row. Its tracker is told in the
 * same transaction, when it has one.
 */
export async function moveTicket(
  tx: Tx,
  ticket: Row<'tickets'>,
  to: TicketStatus,
  changes: Updateable<TicketsTable> = {},
): Promise<Row<'tickets'>> {
  if (!isTransition('ticket', ticket.status, to)) {
    throw new IllegalTransitionError('ticket', ticket.key, ticket.status, to)
  }
  const moved = await updateTicket(tx, {
    set: {
      reason: null,
      detail: null,
      ...changes,
      status: to,
      finished_at: isTerminal('ticket', to) ? tx.now : null,
      ...(to === 'failed' ? {} : { dead_at: null }),
      ...(to === 'pending' ? { queued_at: tx.now } : {}),
      updated_at: tx.now,
      version: ticket.version + 1,
    },
    where: { id: ticket.id, status: ticket.status, version: ticket.version },
  })
  if (moved === undefined) throw new ConflictError(`ticket ${ticket.key} was changed at the same moment`)
  if (moved.tracker !== null && isWrittenBack(to, moved.reason)) await enqueueWriteBack(tx, moved)
  return moved
}

const updateTicket = prepareUpdate('tickets')

/** Changes the ticket without moving it. */
export async function changeTicket(
  tx: Tx,
  ticket: Row<'tickets'>,
  changes: Updateable<TicketsTable>,
): Promise<Row<'tickets'>> {
  return await tx.db
    .updateTable('tickets')
    .set({ ...changes, updated_at: tx.now, version: ticket.version + 1 })
    .where('id', '=', ticket.id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** The ticket's row, locked until the end of the transaction where rows can be locked. */
export async function getTicketRow(tx: Tx, ticketId: TicketId): Promise<Row<'tickets'>> {
  const [row] = await selectTicket(tx, { ticketId })
  if (row === undefined) throw new NotFoundError('ticket', ticketId)
  return row
}

const selectTicket = prepareQuery(({ db, dialect }, { ticketId }: { readonly ticketId: TicketId }) =>
  db
    .selectFrom('tickets')
    .selectAll()
    .where('id', '=', ticketId)
    .$if(dialect.supportsSkipLocked, (query) => query.forNoKeyUpdate()),
)
