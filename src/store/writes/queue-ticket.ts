import type { Updateable } from 'kysely'
import type { TicketId } from '../../domain/id.ts'
import type { Reason } from '../../domain/reason.ts'
import type { Row } from '../rows.ts'
import type { TicketsTable } from '../schema.ts'
import type { Tx } from '../transaction.ts'
import { changeTicket, moveTicket } from './move-ticket.ts'

/** What keeps a ticket from being claimed. */
export type Block = { readonly reason: Reason; readonly detail: string }

/** Puts the ticket into the queue: `pending`, or `blocked` while a dependency is not done. */
export async function queueTicket(
  tx: Tx,
  ticket: Row<'tickets'>,
  changes: Updateable<TicketsTable> = {},
): Promise<Row<'tickets'>> {
  await lockDependencies(tx, ticket.id)
  const block = await findBlock(tx, ticket.id)
  if (block === undefined) return await moveTicket(tx, ticket, 'pending', changes)
  return await moveTicket(tx, ticket, 'blocked', { ...changes, ...block })
}

/**
 * Keeps what the ticket depends on from ending until this transaction has: it would look for tickets that are
 * blocked, not see this one yet, and nobody would ever unblock it.
 */
async function lockDependencies(tx: Tx, ticketId: TicketId): Promise<void> {
  if (!tx.dialect.supportsSkipLocked) return
  await tx.db
    .selectFrom('tickets')
    .select('id')
    .where('status', '<>', 'done')
    .where('id', 'in', (query) =>
      query.selectFrom('ticket_dependencies').select('depends_on_id').where('ticket_id', '=', ticketId),
    )
    .orderBy('id')
    .forShare()
    .execute()
}

/** The dependency that stands in the way, the hopeless ones first; `undefined` when all are done. */
export async function findBlock(tx: Tx, ticketId: TicketId): Promise<Block | undefined> {
  const open = await tx.db
    .selectFrom('ticket_dependencies as d')
    .innerJoin('tickets as t', 't.id', 'd.depends_on_id')
    .select(['t.key', 't.status'])
    .where('d.ticket_id', '=', ticketId)
    .where('t.status', '<>', 'done')
    .orderBy('t.created_at')
    .orderBy('t.id')
    .execute()
  const keysOf = (status: string) => open.filter((row) => row.status === status).map((row) => row.key)
  const canceled = keysOf('canceled')
  if (canceled.length > 0) {
    return { reason: 'dependency_canceled', detail: `${canceled.join(', ')} was canceled` }
  }
  const failed = keysOf('failed')
  if (failed.length > 0) return { reason: 'dependency_failed', detail: `${failed.join(', ')} failed` }
  if (open.length === 0) return undefined
  return { reason: 'dependency_open', detail: `waits for ${open.map((row) => row.key).join(', ')}` }
}

/** Unblocks or flags the tickets that wait for this one, after its status has changed. */
export async function settleDependents(tx: Tx, ticketId: TicketId): Promise<void> {
  const dependents = await tx.db
    .selectFrom('tickets')
    .selectAll()
    .where('status', '=', 'blocked')
    .where('id', 'in', (query) =>
      query.selectFrom('ticket_dependencies').select('ticket_id').where('depends_on_id', '=', ticketId),
    )
    .orderBy('created_at')
    .orderBy('id')
    .$if(tx.dialect.supportsSkipLocked, (query) => query.forNoKeyUpdate())
    .execute()
  for (const dependent of dependents) await settleBlocked(tx, dependent)
}

/** Brings a blocked ticket in line with its dependencies. */
export async function settleBlocked(tx: Tx, ticket: Row<'tickets'>): Promise<Row<'tickets'>> {
  const block = await findBlock(tx, ticket.id)
  if (block === undefined) {
    tx.emit({ type: 'ticket.unblocked', actor: 'coordinator', ticketId: ticket.id })
    return await moveTicket(tx, ticket, 'pending')
  }
  if (block.reason === ticket.reason && block.detail === ticket.detail) return ticket
  emitBlock(tx, ticket.id, block)
  return await changeTicket(tx, ticket, block)
}

export function emitBlock(tx: Tx, ticketId: TicketId, block: Block): void {
  const type = block.reason === 'dependency_open' ? 'ticket.blocked' : 'ticket.flagged'
  tx.emit({ type, actor: 'coordinator', ticketId, data: { ...block } })
}
