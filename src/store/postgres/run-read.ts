import type { ReadWeight, RunRead } from '../reads/bind-reader.ts'
import { BEGIN_READ, begin, persist } from './begin.ts'
import type { Pool } from './pool.ts'
import type { Session } from './session.ts'
import type { StoreClock } from './store-clock.ts'
import { toStoreError } from './to-store-error.ts'

/** Reads on connections of their own, each in one state of the database; long ones never take those of the quick. */
export function createRunRead(of: {
  readonly pools: { readonly quick: Pool; readonly heavy: Pool }
  readonly clock: StoreClock
  readonly label: string
}): RunRead {
  const poolOf = (weight: ReadWeight) => (weight === 'quick' ? of.pools.quick : of.pools.heavy)
  return async (weight, read) => {
    try {
      return await persist(() =>
        poolOf(weight).lend(async (session) => {
          // Before the read's own state is fixed: what is final by now is in it.
          const finalSeq = weight === 'events' ? { finalSeq: await getFinalSeq(session) } : {}
          const { now } = await begin<{ now: number }>(session, BEGIN_READ)
          of.clock.hear(now)
          try {
            return await read({ db: session.db, now, ...finalSeq })
          } finally {
            // Nobody waits for it: what is asked next on this connection stands behind it.
            if (session.isOpen) void session.exec('rollback').catch(() => session.destroy())
          }
        }),
      )
    } catch (error) {
      throw toStoreError(error, of.label)
    }
  }
}

export async function getFinalSeq(session: Session): Promise<number> {
  const [row] = await session.query<{ seq: number }>('select final_event_position() as seq')
  return row?.seq ?? 0
}
