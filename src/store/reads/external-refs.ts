import type { StoreReader } from '../contract.ts'
import { toRefData } from '../rows.ts'
import type { ReadContext } from './read.ts'

const PAGE_COUNT = 500

/** In the order of their names there; the cursor is the last of them. */
export async function listExternalRefs(
  { db }: ReadContext,
  filter: Parameters<StoreReader['listExternalRefs']>[0],
): ReturnType<StoreReader['listExternalRefs']> {
  let query = db
    .selectFrom('tickets as t')
    .innerJoin('external_refs as r', (join) =>
      join.onRef('r.tracker', '=', 't.tracker').onRef('r.external_id', '=', 't.external_id'),
    )
    .select(['r.tracker', 'r.external_id', 'r.ticket_id', 'r.data', 't.key', 't.status', 't.version'])
    .where('t.tracker', '=', filter.tracker)
    .where('t.finished_at', 'is', null)
  if (filter.cursor !== undefined) query = query.where('t.external_id', '>', filter.cursor)
  const rows = await query
    .orderBy('t.external_id')
    .limit(PAGE_COUNT + 1)
    .execute()
  const items = rows.slice(0, PAGE_COUNT).map((row) => ({
    tracker: row.tracker,
    externalId: row.external_id,
    ticketId: row.ticket_id,
    ...toStanding(row),
    ticketKey: row.key,
    ticketStatus: row.status,
    ticketVersion: row.version,
  }))
  return { items, nextCursor: rows.length > PAGE_COUNT ? (items.at(-1)?.externalId ?? null) : null }
}

export async function findExternalRef(
  { db }: ReadContext,
  by: Parameters<StoreReader['findExternalRef']>[0],
): ReturnType<StoreReader['findExternalRef']> {
  const query = db.selectFrom('external_refs').selectAll()
  const row = await ('ticketId' in by
    ? query.where('ticket_id', '=', by.ticketId)
    : query.where('tracker', '=', by.tracker).where('external_id', '=', by.externalId)
  ).executeTakeFirst()
  if (row === undefined) return undefined
  const { tracker, external_id: externalId, ticket_id: ticketId } = row
  return { tracker, externalId, ticketId, ...toStanding(row) }
}

function toStanding(row: { data: string }) {
  const { word, standing } = toRefData(row)
  return { word, standing }
}
