import type { StoreReader } from '../contract.ts'
import { toEvent } from '../rows.ts'
import { toPageSize } from './cursor.ts'
import type { ReadContext } from './read.ts'

export async function listEvents(
  { db, finalSeq }: ReadContext,
  filter: Parameters<StoreReader['listEvents']>[0],
): ReturnType<StoreReader['listEvents']> {
  let query = db.selectFrom('events').selectAll().where('seq', '>', filter.afterSeq)
  if (finalSeq !== undefined) query = query.where('seq', '<=', finalSeq)
  if (filter.ticketId !== undefined) query = query.where('ticket_id', '=', filter.ticketId)
  if (filter.runId !== undefined) query = query.where('run_id', '=', filter.runId)
  if (filter.types !== undefined) query = query.where('type', 'in', filter.types)
  const rows = await query.orderBy('seq').limit(toPageSize(filter.countMax)).execute()
  return rows.map(toEvent)
}
