import type { Updateable } from 'kysely'
import type { TicketId } from '../../domain/id.ts'
import type { Ticket } from '../../domain/ticket.ts'
import type { UpdateTicketInput } from '../contract.ts'
import { ConflictError, VersionConflictError } from '../errors.ts'
import { type Row, toJson, toTicket } from '../rows.ts'
import type { TicketsTable } from '../schema.ts'
import type { Tx } from '../transaction.ts'
import { changeTicket, getTicketRow, moveTicket } from './move-ticket.ts'
import { emitBlock, findBlock, queueTicket, settleBlocked } from './queue-ticket.ts'
import { enterDependencyGraph, setDependencies, setLabels } from './ticket-parts.ts'

export async function updateTicket(tx: Tx, input: UpdateTicketInput): Promise<Ticket> {
  const { ticketId, expectedVersion, changes, actor } = input
  if (changes.dependsOn !== undefined) await enterDependencyGraph(tx)
  const ticket = await getTicketRow(tx, ticketId)
  if (expectedVersion !== undefined && expectedVersion !== ticket.version) {
    throw new VersionConflictError(`ticket ${ticket.key}`, expectedVersion, ticket.version)
  }
  if (changes.dependsOn !== undefined && ['running', 'waiting'].includes(ticket.status)) {
    throw new ConflictError(`the dependencies of ${ticket.key} cannot change while it is ${ticket.status}`)
  }
  const columns = toColumns(changes)
  let row = await changeTicket(tx, ticket, columns)
  if (changes.labels !== undefined) await replaceLabels(tx, ticketId, changes.labels)
  if (changes.priority !== undefined) await reorderRuns(tx, ticketId, changes.priority)
  if (changes.dependsOn !== undefined) {
    await setDependencies(tx, row, changes.dependsOn)
    row = await settleQueued(tx, row)
  }
  if (changes.status !== undefined) row = await changeStatus(tx, row, changes.status)
  tx.emit({ type: 'ticket.updated', actor, ticketId, data: { fields: Object.keys(changes) } })
  return toTicket(row)
}

function toColumns(changes: UpdateTicketInput['changes']): Updateable<TicketsTable> {
  return {
    ...(changes.title === undefined ? {} : { title: changes.title }),
    ...(changes.body === undefined ? {} : { body: changes.body }),
    ...(changes.type === undefined ? {} : { type: changes.type }),
    ...(changes.labels === undefined ? {} : { labels: toJson([...new Set(changes.labels)]) }),
    ...(changes.priority === undefined ? {} : { priority: changes.priority }),
    ...(changes.workflow === undefined ? {} : { workflow: changes.workflow }),
    ...(changes.agent === undefined ? {} : { agent: changes.agent }),
    ...(changes.inputs === undefined ? {} : { inputs: toJson(changes.inputs) }),
    ...(changes.notBefore === undefined ? {} : { not_before: changes.notBefore }),
  }
}

async function replaceLabels(tx: Tx, ticketId: TicketId, labels: readonly string[]): Promise<void> {
  await tx.db.deleteFrom('ticket_labels').where('ticket_id', '=', ticketId).execute()
  await setLabels(tx, ticketId, [...new Set(labels)])
}

/** Runs carry the ticket's priority, so that the queue has its order in one index. */
async function reorderRuns(tx: Tx, ticketId: TicketId, priority: number): Promise<void> {
  await tx.db
    .updateTable('runs')
    .set({ priority })
    .where('ticket_id', '=', ticketId)
    .where('finished_at', 'is', null)
    .execute()
}

/** A queued ticket that got an open dependency is blocked; a blocked one may be free now. */
async function settleQueued(tx: Tx, ticket: Row<'tickets'>): Promise<Row<'tickets'>> {
  if (ticket.status === 'blocked') return await settleBlocked(tx, ticket)
  if (ticket.status !== 'pending') return ticket
  const block = await findBlock(tx, ticket.id)
  if (block === undefined) return ticket
  emitBlock(tx, ticket.id, block)
  return await moveTicket(tx, ticket, 'blocked', block)
}

async function changeStatus(
  tx: Tx,
  ticket: Row<'tickets'>,
  status: 'pending' | 'draft',
): Promise<Row<'tickets'>> {
  if (status === ticket.status) return ticket
  if (status === 'draft') return await moveTicket(tx, ticket, 'draft')
  if (ticket.status === 'blocked') return ticket
  if (ticket.status !== 'draft') {
    throw new ConflictError(`${ticket.key} is ${ticket.status}: only a draft is made pending; use retry`)
  }
  const queued = await queueTicket(tx, ticket)
  if (queued.status === 'blocked') {
    const block = await findBlock(tx, ticket.id)
    if (block !== undefined) emitBlock(tx, ticket.id, block)
  }
  return queued
}
