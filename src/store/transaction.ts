import type { Insertable, Kysely } from 'kysely'
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

/** A transaction that the implementation has begun. */
export type Begun = {
  readonly db: Kysely<Database>
  readonly dialect: StoreDialect
  readonly now: number
  readonly newId: IdSource
  /** Runs the part between a savepoint and its release or return. */
  readonly savepoint: <P>(part: () => Promise<P>) => Promise<P>
}

/**
 * Runs `work` inside a transaction that the implementation has begun. The events are still to be written, as the
 * last thing before the commit.
 */
export async function runInTransaction<T>(
  begun: Begun,
  work: (tx: Tx) => Promise<T>,
): Promise<{ value: T; events: readonly NewEvent[] }> {
  const { db, dialect, now } = begun
  const events: NewEvent[] = []
  const value = await work({
    db,
    dialect,
    now,
    newId: (kind) => begun.newId(kind, now),
    emit: (event) => events.push(event),
    async attempt(part) {
      const eventCount = events.length
      try {
        return await begun.savepoint(part)
      } catch (error) {
        events.length = eventCount
        throw error
      }
    },
  })
  return { value, events }
}

/** Writes the events one by one, in order. */
export async function writeEvents(
  begun: Pick<Begun, 'db' | 'dialect' | 'now'>,
  events: readonly NewEvent[],
): Promise<readonly SwarmEvent[]> {
  const written: SwarmEvent[] = []
  for (const event of events) written.push(toEvent(await insertEvent(begun, toEventRow(event, begun.now))))
  return written
}

const insertEvent = prepareInsert('events')

export function toEventRow(event: NewEvent, now: number): Insertable<Database['events']> {
  return {
    at: now,
    type: event.type,
    actor: event.actor,
    ticket_id: event.ticketId ?? null,
    run_id: event.runId ?? null,
    step_instance_id: event.stepInstanceId ?? null,
    attempt: event.attempt ?? null,
    data: toJson(event.data ?? {}),
  }
}
