import type { Kysely } from 'kysely'
import type { EventType, SwarmEvent } from '../domain/event.ts'
import type { IdKind, RunId, StepInstanceId, TicketId, toId } from '../domain/id.ts'
import type { JsonObject } from '../domain/json.ts'
import type { StoreDialect } from './dialect.ts'
import type { IdSource } from './id-source.ts'
import { prepareInsert } from './prepared-query.ts'
import { toEvent, toJson } from './rows.ts'
import type { Database } from './schema.ts'

/** What a state change works with: one open transaction. */
export type Tx = {
  readonly db: Kysely<Database>
  readonly dialect: StoreDialect
  /** The one instant of this transaction, `ms` since the epoch */
  readonly now: number
  newId<Kind extends IdKind>(kind: Kind): ReturnType<typeof toId<Kind>>
  /** Adds an event; it is written before the commit and published after it. */
  emit(event: NewEvent): void
  /** Runs a part that happens whole or not at all within the whole. */
  attempt<T>(part: () => Promise<T>): Promise<T>
}

export type NewEvent = {
  readonly type: EventType
  readonly actor: string
  readonly ticketId?: TicketId | null
  readonly runId?: RunId | null
  readonly stepInstanceId?: StepInstanceId | null
  readonly attempt?: number | null
  readonly data?: JsonObject
}

/** Runs `work` in one transaction: commits when it resolves, changes nothing when it rejects. */
export type Transact = <T>(work: (tx: Tx) => Promise<T>) => Promise<T>

/**
 * Runs `work` inside a transaction that the implementation has begun, and writes its events last.
 * @returns the answer, and the events to publish after the commit
 */
export async function runInTransaction<T>(
  begun: {
    readonly db: Kysely<Database>
    readonly dialect: StoreDialect
    readonly now: number
    readonly newId: IdSource
    /** Runs the part between a savepoint and its release or return. */
    readonly savepoint: <P>(part: () => Promise<P>) => Promise<P>
  },
  work: (tx: Tx) => Promise<T>,
): Promise<{ value: T; events: readonly SwarmEvent[] }> {
  const { db, dialect, now } = begun
  const pending: NewEvent[] = []
  const value = await work({
    db,
    dialect,
    now,
    newId: (kind) => begun.newId(kind, now),
    emit: (event) => pending.push(event),
    async attempt(part) {
      const eventCount = pending.length
      try {
        return await begun.savepoint(part)
      } catch (error) {
        pending.length = eventCount
        throw error
      }
    },
  })
  return { value, events: await writeEvents(begun, now, pending) }
}

const insertEvent = prepareInsert('events')

async function writeEvents(
  base: { readonly db: Kysely<Database>; readonly dialect: StoreDialect },
  now: number,
  events: readonly NewEvent[],
): Promise<readonly SwarmEvent[]> {
  const written: SwarmEvent[] = []
  for (const event of events) {
    const row = await insertEvent(base, {
      at: now,
      type: event.type,
      actor: event.actor,
      ticket_id: event.ticketId ?? null,
      run_id: event.runId ?? null,
      step_instance_id: event.stepInstanceId ?? null,
      attempt: event.attempt ?? null,
      data: toJson(event.data ?? {}),
    })
    written.push(toEvent(row))
  }
  return written
}
