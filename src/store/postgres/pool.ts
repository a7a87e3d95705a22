import { StoreError } from '../errors.ts'
import type { Session } from './session.ts'
import { ConnectionLostError } from './to-store-error.ts'

/** A bounded number of connections, opened when they are needed and kept. */
export type Pool = {
  /**
   * Lends a connection to `work`, in the order of asking. One that broke, or whose transaction was not ended, is
   * dropped.
   * @throws ConnectionLostError when none can be opened or none is free in time
   */
  lend<T>(work: (session: Session) => Promise<T>): Promise<T>
  /** Refuses whoever asks from now on, waits for what is lent, then closes all. May be called twice. */
  close(): Promise<void>
}

/** Longest time that somebody waits for a free connection, `ms` */
const WAIT_TIMEOUT_MS = 30_000

export function createPool(of: {
  readonly open: () => Promise<Session>
  readonly countMax: number
  readonly label: string
}): Pool {
  const idle: Session[] = []
  const waiting: ((session: Session | undefined) => void)[] = []
  const lent = new Set<Promise<unknown>>()
  let count = 0
  let isClosed = false

  async function take(): Promise<Session> {
    for (let session = idle.pop(); session !== undefined; session = idle.pop()) {
      if (session.isOpen) return session
      count--
    }
    if (count >= of.countMax) {
      const given = await waitForTurn()
      if (given !== undefined) return given
    } else {
      count++
    }
    // From here on this place among the `countMax` is ours.
    try {
      return await of.open()
    } catch (error) {
      leave(undefined)
      throw error
    }
  }

  /** @returns a connection, or only its place when that broke */
  async function waitForTurn(): Promise<Session | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<Session | undefined>()
    waiting.push(resolve)
    const deadline = setTimeout(() => {
      waiting.splice(waiting.indexOf(resolve), 1)
      reject(new ConnectionLostError(new Error('every connection is busy')))
    }, WAIT_TIMEOUT_MS)
    try {
      return await promise
    } finally {
      clearTimeout(deadline)
    }
  }

  /** Hands on the connection, or its place. */
  function leave(session: Session | undefined): void {
    const next = waiting.shift()
    if (next !== undefined) next(session)
    else if (session === undefined) count--
    else idle.push(session)
  }

  async function use<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const session = await take()
    try {
      return await work(session)
    } finally {
      leave(session.isOpen ? session : undefined)
    }
  }

  return {
    async lend(work) {
      if (isClosed) throw new StoreError('unavailable', `the store in ${of.label} is closed`)
      const use_ = use(work)
      const settled = use_.then(
        () => undefined,
        () => undefined,
      )
      lent.add(settled)
      void settled.then(() => lent.delete(settled))
      return await use_
    },
    async close() {
      isClosed = true
      await Promise.all(lent)
      await Promise.all(idle.splice(0).map((session) => session.close()))
    },
  }
}
