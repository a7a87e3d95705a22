import { setTimeout as delay } from 'node:timers/promises'
import type { Session } from './session.ts'
import { isConnectionTrouble } from './to-store-error.ts'

/** A transaction that was begun, by the database's own words. */
export type BegunTransaction = {
  /** `ms` since the epoch */
  readonly now: number
  /** Number of the transaction */
  readonly id: string
}

export const BEGIN_WRITE = `begin isolation level read committed;
  select swarm.now_ms() as now, pg_current_xact_id()::text as id`

export const BEGIN_READ = 'begin isolation level repeatable read read only; select swarm.now_ms() as now'

/** Nothing has happened yet when this fails. */
export class NotBegunError extends Error {
  override readonly name = 'NotBegunError'
}

/**
 * Begins a transaction with these statements, in one message.
 * @returns the row that the last of them answers
 * @throws NotBegunError when the connection turns out to be of no use
 */
export async function begin<Row>(session: Session, statements: string): Promise<Row> {
  try {
    const results = await session.exec(statements)
    return results.at(-1)?.rows[0] as Row
  } catch (error) {
    session.destroy()
    if (isConnectionTrouble(error)) throw new NotBegunError('the connection is of no use', { cause: error })
    throw error
  }
}

const PERSIST_MS = 5_000
const FIRST_PAUSE_MS = 25
const PAUSE_MAX_MS = 500

/**
 * Repeats what could not begin because the server was away, for as long as a restart takes: connections that the
 * server closed are found by their next use.
 */
export async function persist<T>(attempt: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + PERSIST_MS
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS)) {
    try {
      return await attempt()
    } catch (error) {
      const trouble = error instanceof NotBegunError ? error.cause : error
      if (!isConnectionTrouble(trouble) || performance.now() + pauseMs > deadline) throw trouble
      await delay(pauseMs * (0.5 + Math.random()))
    }
  }
}
