import { setTimeout as delay } from 'node:timers/promises'
import { StoreError } from '../errors.ts'
import type { BegunTransaction } from './begin.ts'
import type { Pool } from './pool.ts'
import { isConnectionTrouble, isSqlError } from './to-store-error.ts'

const DEADLINE_MS = 20_000
const PAUSE_MS = 100

const QUESTION = `select pg_xact_status($1::xid8) as status,
  left(pg_walfile_name(pg_current_wal_lsn()), 8) as timeline`

/**
 * What became of a transaction whose commit was asked for when the connection broke. The server keeps the answer; a
 * standby that took its place may never have heard of the transaction, and then nothing is claimed.
 * @throws StoreError `unavailable` when nobody can say
 */
export async function findOutcome(
  { pool, label }: { readonly pool: Pool; readonly label: string },
  { id, timeline }: BegunTransaction,
): Promise<'committed' | 'aborted'> {
  const deadline = performance.now() + DEADLINE_MS
  let trouble: unknown
  while (performance.now() < deadline) {
    try {
      const [answer] = await pool.lend((session) =>
        session.query<{ status: string | null; timeline: string }>(QUESTION, [id]),
      )
      if (answer === undefined || answer.timeline !== timeline || answer.status === null) break
      if (answer.status === 'committed' || answer.status === 'aborted') return answer.status
    } catch (error) {
      if (!isConnectionTrouble(error) && !isSqlError(error)) throw error
      trouble = error
    }
    await delay(PAUSE_MS)
  }
  throw new StoreError(
    'unavailable',
    `${label} was lost during a commit: it is not known whether the change was made`,
    { cause: trouble },
  )
}
