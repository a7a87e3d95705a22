import type { TicketId } from '../../domain/id.ts'
import { DependencyCycleError, NotFoundError } from '../errors.ts'
import type { Row } from '../rows.ts'
import type { Tx } from '../transaction.ts'

/** Writes the labels once more, one per row, for filters. */
export async function setLabels(tx: Tx, ticketId: TicketId, labels: readonly string[]): Promise<void> {
  if (labels.length === 0) return
  await tx.db
    .insertInto('ticket_labels')
    .values(labels.map((label) => ({ ticket_id: ticketId, label })))
    .execute()
}

/** Replaces what the ticket waits for; refuses a circle. After `enterDependencyGraph`. */
export async function setDependencies(
  tx: Tx,
  ticket: Row<'tickets'>,
  dependsOn: readonly TicketId[],
): Promise<void> {
  const wanted = [...new Set(dependsOn)]
  await tx.db.deleteFrom('ticket_dependencies').where('ticket_id', '=', ticket.id).execute()
  if (wanted.length === 0) return
  await requireTickets(tx, wanted)
  const circle = await findCircle(tx, ticket.id, wanted)
  if (circle !== undefined) throw new DependencyCycleError(await keysOf(tx, circle))
  await tx.db
    .insertInto('ticket_dependencies')
    .values(wanted.map((dependsOnId) => ({ ticket_id: ticket.id, depends_on_id: dependsOnId })))
    .execute()
}

/**
 * One at a time: two transactions that each add half of a circle would not see each other's half. Before the ticket
 * is locked, so that whoever waits here holds nothing that the other one needs.
 */
export async function enterDependencyGraph(tx: Tx): Promise<void> {
  await tx.db
    .insertInto('counters')
    .values({ name: 'dependency-changes', value: 1 })
    .onConflict((conflict) =>
      conflict.column('name').doUpdateSet((eb) => ({ value: eb('counters.value', '+', 1) })),
    )
    .execute()
}

async function requireTickets(tx: Tx, ids: readonly TicketId[]): Promise<void> {
  const found = await tx.db
    .selectFrom('tickets')
    .select('id')
    .where('id', 'in', ids)
    .orderBy('id')
    // Held as they are: one that ends meanwhile would not see that this ticket waits for it.
    .$if(tx.dialect.supportsSkipLocked, (query) => query.forShare())
    .execute()
  const foundIds = new Set(found.map((row) => row.id))
  const missing = ids.find((id) => !foundIds.has(id))
  if (missing !== undefined) throw new NotFoundError('ticket', missing)
}

/**
 * The way from `start` back to itself over what it shall depend on, breadth first.
 * @returns the tickets on the way, `start` first and last
 */
async function findCircle(
  tx: Tx,
  start: TicketId,
  wanted: readonly TicketId[],
): Promise<readonly TicketId[] | undefined> {
  const cameFrom = new Map<TicketId, TicketId>(wanted.map((id) => [id, start]))
  for (let frontier = wanted; frontier.length > 0; ) {
    if (frontier.includes(start)) return walkBack(cameFrom, start)
    const edges = await tx.db
      .selectFrom('ticket_dependencies')
      .selectAll()
      .where('ticket_id', 'in', frontier)
      .execute()
    const next: TicketId[] = []
    for (const edge of edges) {
      if (cameFrom.has(edge.depends_on_id)) continue
      cameFrom.set(edge.depends_on_id, edge.ticket_id)
      next.push(edge.depends_on_id)
    }
    frontier = next
  }
  return undefined
}

function walkBack(cameFrom: ReadonlyMap<TicketId, TicketId>, start: TicketId): readonly TicketId[] {
  const way: TicketId[] = [start]
  for (let at = cameFrom.get(start); at !== undefined && at !== start; at = cameFrom.get(at)) way.unshift(at)
  return [start, ...way]
}

async function keysOf(tx: Tx, ids: readonly TicketId[]): Promise<readonly string[]> {
  const rows = await tx.db.selectFrom('tickets').select(['id', 'key']).where('id', 'in', ids).execute()
  const keys = new Map(rows.map((row) => [row.id, row.key]))
  return ids.map((id) => keys.get(id) ?? id)
}
