import type { StoreReader } from '../contract.ts'
import { toEffect } from '../rows.ts'
import type { ReadContext } from './read.ts'

export async function findEffect(
  { db }: ReadContext,
  by: Parameters<StoreReader['findEffect']>[0],
): ReturnType<StoreReader['findEffect']> {
  const query = db.selectFrom('effects').selectAll()
  const row = await ('key' in by
    ? query.where('key', '=', by.key)
    : query.where('id', '=', by.effectId)
  ).executeTakeFirst()
  return row && toEffect(row)
}

/** In the order of the outbox. */
export async function listEffects(
  { db }: ReadContext,
  filter: Parameters<StoreReader['listEffects']>[0],
): ReturnType<StoreReader['listEffects']> {
  let query = db.selectFrom('effects').selectAll()
  if (filter.ticketId !== undefined) query = query.where('ticket_id', '=', filter.ticketId)
  if (filter.statuses !== undefined) query = query.where('status', 'in', filter.statuses)
  const rows = await query.orderBy('seq').execute()
  return rows.map(toEffect)
}
