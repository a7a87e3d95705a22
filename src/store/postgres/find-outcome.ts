import { setTimeout as delay } from 'node:timers/promises'
import { StoreError } from '../errors.ts'
import type { BegunTransaction } from './begin.ts'
import type { Pool } from './pool.ts'
import type { Session } from './session.ts'
import { isConnectionTrouble, isSqlError } from './to-store-error.ts'

/** A transaction whose commit was asked for, and what it would have left. */
export type LostTransaction = BegunTransaction & {
  /** A position of an event before its own */
  readonly afterSeq: number
  readonly hasEvents: boolean
}

const DEADLINE_MS = 20_000
const PAUSE_MS = 100

/**
 * What became of a transaction whose commit was asked for when the connection broke: its events are there or not.
 * NOTE: the server's word that a transaction of this number has committed is not enough. After a crash it gives the
 * numbers of transactions that left nothing on its disk to others.
 * @throws StoreError `unavailable` when nobody can say
 */
export async function findOutcome(
  { pool, label }: { readonly pool: Pool; readonly label: string },
  lost: LostTransaction,
): Promise<'committed' | 'aborted'> {
  const deadline = performance.now() + DEADLINE_MS
  let trouble: unknown
  // Without events nothing tells; what makes none is repeated without harm.
  while (lost.hasEvents && performance.now() < deadline) {
    try {
      const outcome = await pool.lend((session) => ask(session, lost))
      if (outcome !== 'in progress') return outcome
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

async function ask(
  session: Session,
  { id, now, afterSeq }: LostTransaction,
): Promise<'committed' | 'aborted' | 'in progress'> {
  // First whether it is over, then what it left: in the other order it could end in between.
  if ((await findStatus(session, id)) === 'in progress') return 'in progress'
  const events = await session.query(
    'select 1 from events where seq > $1 and at = $2 and xmin = $3::xid8::xid limit 1',
    [afterSeq, now, id],
  )
  return events.length > 0 ? 'committed' : 'aborted'
}

async function findStatus(session: Session, id: string): Promise<string | null> {
  try {
    const [row] = await session.query<{ status: string | null }>(
      'select pg_xact_status($1::xid8) as status',
      [id],
    )
    return row?.status ?? null
  } catch (error) {
    // A server that has not come to this number yet has never heard of the transaction.
    if (isSqlError(error) && error.code === '22023') return null
    throw error
  }
}
