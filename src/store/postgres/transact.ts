import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { StoreError } from '../errors.ts'
import type { IdSource } from '../id-source.ts'
import {
  type Begun,
  type NewEvent,
  runInTransaction,
  type Transact,
  type Tx,
  toEventRow,
} from '../transaction.ts'
import { BEGIN_WRITE, type BegunTransaction, begin, persist } from './begin.ts'
import { findOutcome, type LostTransaction } from './find-outcome.ts'
import type { Pool } from './pool.ts'
import { postgresDialect } from './postgres-dialect.ts'
import type { Session } from './session.ts'
import type { StoreClock } from './store-clock.ts'
import { isCollision, isConnectionTrouble, isDuplicate } from './to-store-error.ts'

type Parts = {
  readonly pool: Pool
  readonly clock: StoreClock
  readonly newId: IdSource
  readonly label: string
  /** A position of an event that was there before whatever is begun now */
  readonly lastSeq: () => number
  /** Called after each commit with the position of its last event, if it had any */
  readonly onCommit: (lastSeq: number) => void
}

/** Whether the caller is part of a transaction: what it asked for would wait for it. */
const isInside = new AsyncLocalStorage<true>()

const TRY_COUNT_MAX = 12
const DUPLICATE_COUNT_MAX = 2
const PAUSE_MAX_MS = 100

/**
 * Transactions under READ COMMITTED with locked rows. What met another transaction (a deadlock, a row that was just
 * written) is run again as a whole; what the connection lost before its commit was asked for has changed nothing, and
 * the caller hears so.
 */
export function createTransact(parts: Parts): Transact {
  return async (work) => {
    if (isInside.getStore() === true) {
      throw new Error('inside a transaction the store is used through the writer that was given to it')
    }
    for (let tryCount = 1; ; tryCount++) {
      try {
        return await runOnce(parts, work)
      } catch (error) {
        const countMax = isCollision(error) ? TRY_COUNT_MAX : isDuplicate(error) ? DUPLICATE_COUNT_MAX : 0
        if (tryCount >= countMax) throw error
        await delay(Math.random() * Math.min(PAUSE_MAX_MS, 2 ** tryCount))
      }
    }
  }
}

async function runOnce<T>(parts: Parts, work: (tx: Tx) => Promise<T>): Promise<T> {
  const ended = await persist(() =>
    parts.pool.lend(async (session) => {
      const begun = await begin<BegunTransaction>(session, BEGIN_WRITE)
      parts.clock.hear(begun.now)
      return await endOf(parts, session, begun, work)
    }),
  )
  if (ended.kind === 'committed') {
    if (ended.lastSeq !== undefined) parts.onCommit(ended.lastSeq)
    return ended.value
  }
  if (ended.kind === 'failed') throw ended.error
  // The commit was asked for and the answer got lost: the server knows.
  if ((await findOutcome(parts, ended.lost)) === 'aborted') throw ended.error
  parts.onCommit(0)
  return ended.value
}

type Ended<T> =
  | { readonly kind: 'committed'; readonly value: T; readonly lastSeq: number | undefined }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'unknown'; readonly value: T; readonly error: unknown; readonly lost: LostTransaction }

/** Does the work and commits it. Never throws: what follows depends on how far it came. */
async function endOf<T>(
  { newId, lastSeq }: Parts,
  session: Session,
  begun: BegunTransaction,
  work: (tx: Tx) => Promise<T>,
): Promise<Ended<T>> {
  const base: Begun = {
    db: session.db,
    dialect: postgresDialect,
    now: begun.now,
    newId,
    savepoint: (part) => savepoint(session, part),
  }
  const afterSeq = lastSeq()
  let done: { value: T; events: readonly NewEvent[] }
  try {
    done = await isInside.run(true, () => runInTransaction(base, work))
  } catch (error) {
    await rollBack(session)
    return { kind: 'failed', error }
  }
  const { value, events } = done
  try {
    return { kind: 'committed', value, lastSeq: await commit(session, base, events) }
  } catch (error) {
    if (isConnectionTrouble(error)) {
      session.destroy()
      const lost = { ...begun, afterSeq, hasEvents: events.length > 0 }
      return { kind: 'unknown', value, error, lost }
    }
    await rollBack(session)
    return { kind: 'failed', error }
  }
}

/**
 * The events and the commit go out as one message: this process cannot stand still between them while others wait
 * for the positions that it has taken.
 * @returns position of the last event
 */
async function commit(
  session: Session,
  base: Begun,
  events: readonly NewEvent[],
): Promise<number | undefined> {
  // NOTE: both are handed to the driver here, in this order; a builder's own `execute` would come after the commit.
  const [inserted, committed] = await Promise.allSettled([
    events.length === 0 ? [] : insertEvents(session, base, events),
    session.exec('commit'),
  ])
  if (inserted.status === 'rejected') throw inserted.reason
  if (committed.status === 'rejected') throw committed.reason
  if (committed.value.at(-1)?.command !== 'COMMIT') {
    throw new StoreError('unavailable', 'the transaction was rolled back by the server; nothing was changed')
  }
  return inserted.value.at(-1)?.seq
}

function insertEvents(
  session: Session,
  { db, now }: Begun,
  events: readonly NewEvent[],
): Promise<readonly { readonly seq: number }[]> {
  const rows = events.map((event) => toEventRow(event, now))
  const { sql, parameters } = db.insertInto('events').values(rows).returning('seq').compile()
  return session.query(sql, parameters)
}

async function savepoint<T>(session: Session, part: () => Promise<T>): Promise<T> {
  await session.exec('savepoint part')
  try {
    const value = await part()
    await session.exec('release part')
    return value
  } catch (error) {
    if (session.isOpen) await session.exec('rollback to part; release part')
    throw error
  }
}

async function rollBack(session: Session): Promise<void> {
  if (!session.isOpen) return
  try {
    await session.exec('rollback')
  } catch {
    // Whatever it is, the server rolls back when the connection ends.
    session.destroy()
  }
}
