import { type RawBuilder, type SqlBool, sql } from 'kysely'
import type { StoreReader } from '../contract.ts'
import type { ReadContext } from './read.ts'

const COUNT_MAX = 50

/**
 * Of an effect `e` that was given up: it told a tracker how its ticket stands, and none after it does. What stands
 * there is wrong until a person mends it.
 */
export function isUntold(): RawBuilder<SqlBool> {
  return sql<SqlBool>`(e.kind = 'write_back_ticket' and not exists (
    select 1 from effects as later
      where later.ticket_id = e.ticket_id and later.kind = 'write_back_ticket' and later.seq > e.seq))`
}

export async function listUntoldTickets(
  { db }: ReadContext,
  filter: Parameters<StoreReader['listUntoldTickets']>[0],
): ReturnType<StoreReader['listUntoldTickets']> {
  const rows = await db
    .selectFrom('effects as e')
    .innerJoin('tickets as t', 't.id', 'e.ticket_id')
    .select(['t.key', 't.external_id', 't.status', 'e.reason', 'e.detail'])
    .where('e.status', '=', 'dead')
    .where(isUntold())
    .where('t.tracker', '=', filter.tracker)
    .orderBy('e.seq')
    .limit(COUNT_MAX)
    .execute()
  return rows.map(({ key, external_id, status, reason, detail }) => ({
    ticketKey: key,
    externalId: external_id ?? '',
    ticketStatus: status,
    reason,
    detail,
  }))
}
