import { type RawBuilder, type SqlBool, sql } from 'kysely'
import type { StoreReader } from '../contract.ts'
import type { ReadContext } from './read.ts'

/** Counter that holds the greatest place whose event was removed */
export const PRUNED_SEQ = 'events.pruned_seq'

const COUNT_MAX = 1_000

export async function findPrunedSeq({ db }: ReadContext): Promise<number> {
  const row = await db
    .selectFrom('counters')
    .select('value')
    .where('name', '=', PRUNED_SEQ)
    .executeTakeFirst()
  return Number(row?.value ?? 0)
}

/**
 * The last place whose event may go. Events come in the order of time, so the place of an instant is found by halving:
 * there is no index by time, and none is needed for this alone.
 */
export async function findEventCut(
  { db }: ReadContext,
  input: Parameters<StoreReader['findEventCut']>[0],
): Promise<number> {
  const first = await readEnd('asc')
  const last = await readEnd('desc')
  const byCount = input.countMax === null ? 0 : last - input.countMax
  const byAge = input.before === null ? 0 : await findPlace(first, last, input.before)
  return Math.max(0, Math.min(Math.max(byCount, byAge), last - input.keepCount))

  // Not by `min` and `max` in one statement: SQLite would look at every row for it.
  async function readEnd(order: 'asc' | 'desc'): Promise<number> {
    const row = await db.selectFrom('events').select('seq').orderBy('seq', order).limit(1).executeTakeFirst()
    return Number(row?.seq ?? 0)
  }

  /** The last place before the first event that is not older. */
  async function findPlace(from: number, to: number, before: number): Promise<number> {
    let low = from - 1
    let high = to
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      const at = await readInstant(middle)
      if (at !== undefined && at < before) low = middle
      else high = middle - 1
    }
    return low
  }

  /** Of the last event up to that place: places are left out where events were removed. */
  async function readInstant(seq: number): Promise<number | undefined> {
    const row = await db
      .selectFrom('events')
      .select('at')
      .where('seq', '<=', seq)
      .orderBy('seq', 'desc')
      .limit(1)
      .executeTakeFirst()
    return row?.at
  }
}

export async function listPrunableEvents(
  { db }: ReadContext,
  { afterSeq, cutSeq, countMax }: Parameters<StoreReader['listPrunableEvents']>[0],
): Promise<readonly number[]> {
  const rows = await db
    .selectFrom('events')
    .select('seq')
    .where('seq', '>', afterSeq)
    .where('seq', '<=', cutSeq)
    .where(isOfEndedTicket())
    .orderBy('seq')
    .limit(Math.max(1, Math.min(countMax, COUNT_MAX)))
    .execute()
  return rows.map(({ seq }) => Number(seq))
}

/** An event of no ticket, or of one that has ended. */
export function isOfEndedTicket(): RawBuilder<SqlBool> {
  return sql<SqlBool>`not exists (
    select 1 from tickets
      where tickets.id = coalesce(events.ticket_id,
          (select runs.ticket_id from runs where runs.id = events.run_id))
        and tickets.finished_at is null)`
}
