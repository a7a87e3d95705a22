import type { SelectQueryBuilder } from 'kysely'
import type { TicketId } from '../../domain/id.ts'
import type { StoreReader, TicketFilter } from '../contract.ts'
import { type Row, toComment, toTicket } from '../rows.ts'
import type { Database } from '../schema.ts'
import { parseCursor, toPage, toPageSize } from './cursor.ts'
import type { ReadContext } from './read.ts'

export async function findTicket(
  { db }: ReadContext,
  by: Parameters<StoreReader['findTicket']>[0],
): ReturnType<StoreReader['findTicket']> {
  const query = db.selectFrom('tickets').selectAll()
  const row = await ('key' in by
    ? query.where('key', '=', by.key)
    : query.where('id', '=', by.ticketId)
  ).executeTakeFirst()
  return row && toTicket(row)
}

/** Newest first. */
export async function listTickets(
  { db }: ReadContext,
  filter: TicketFilter,
): ReturnType<StoreReader['listTickets']> {
  const size = toPageSize(filter.countMax)
  let query = db.selectFrom('tickets as t').selectAll('t')
  query = narrow(query, filter)
  if (filter.cursor !== undefined) {
    const { createdAt, id } = parseCursor(filter.cursor)
    query = query.where((eb) =>
      eb.or([
        eb('t.created_at', '<', createdAt),
        eb.and([eb('t.created_at', '=', createdAt), eb('t.id', '<', id as TicketId)]),
      ]),
    )
  }
  const rows = await query
    .orderBy('t.created_at', 'desc')
    .orderBy('t.id', 'desc')
    .limit(size + 1)
    .execute()
  return toPage(rows, size, toTicket)
}

type TicketQuery = SelectQueryBuilder<Database & { t: Database['tickets'] }, 't', Row<'tickets'>>

function narrow(all: TicketQuery, filter: TicketFilter): TicketQuery {
  let query = all
  if (filter.projectId !== undefined) query = query.where('t.project_id', '=', filter.projectId)
  if (filter.statuses !== undefined) query = query.where('t.status', 'in', filter.statuses)
  if (filter.types !== undefined) query = query.where('t.type', 'in', filter.types)
  if (filter.isDead !== undefined) query = query.where('t.dead_at', filter.isDead ? 'is not' : 'is', null)
  for (const label of new Set(filter.labels ?? [])) {
    query = query.where((eb) =>
      eb.exists(
        eb
          .selectFrom('ticket_labels as l')
          .select('l.label')
          .whereRef('l.ticket_id', '=', 't.id')
          .where('l.label', '=', label),
      ),
    )
  }
  for (const word of wordsOf(filter.text ?? '')) {
    query = query.where((eb) => {
      const has = (column: 't.title' | 't.body') =>
        eb(eb.fn('lower', [column]), 'like', eb.val(toPattern(word)))
      return eb.or([has('t.title'), has('t.body')])
    })
  }
  return query
}

const WORD_COUNT_MAX = 10

function wordsOf(text: string): readonly string[] {
  return text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '')
    .slice(0, WORD_COUNT_MAX)
}

/** `%` and `_` are looked for as any one character: neither database has an escape character by default. */
function toPattern(word: string): string {
  return `%${word.replaceAll('\\', '_').replaceAll('%', '_')}%`
}

export async function listDependencies(
  { db }: ReadContext,
  ticketId: TicketId,
): ReturnType<StoreReader['listDependencies']> {
  const rows = await db
    .selectFrom('tickets')
    .selectAll()
    .where('id', 'in', (query) =>
      query.selectFrom('ticket_dependencies').select('depends_on_id').where('ticket_id', '=', ticketId),
    )
    .orderBy('created_at')
    .orderBy('id')
    .execute()
  return rows.map(toTicket)
}

export async function listDependents(
  { db }: ReadContext,
  ticketId: TicketId,
): ReturnType<StoreReader['listDependents']> {
  const rows = await db
    .selectFrom('tickets')
    .selectAll()
    .where('id', 'in', (query) =>
      query.selectFrom('ticket_dependencies').select('ticket_id').where('depends_on_id', '=', ticketId),
    )
    .orderBy('created_at')
    .orderBy('id')
    .execute()
  return rows.map(toTicket)
}

/** Oldest first. */
export async function listComments(
  { db }: ReadContext,
  ticketId: TicketId,
): ReturnType<StoreReader['listComments']> {
  const rows = await db
    .selectFrom('comments')
    .selectAll()
    .where('ticket_id', '=', ticketId)
    .orderBy('created_at')
    .orderBy('id')
    .execute()
  return rows.map(toComment)
}
