/**
 * What the server does by itself, as functions of the schema `swarm`.
 *
 * Positions of events: each writer takes its numbers from a sequence, so two that write at once may commit in the
 * other order. Whoever read the later one first would never see the earlier one. Therefore a writer holds a shared
 * lock from before it takes a number until its commit, and a reader takes the same lock alone for an instant: then
 * nobody is between number and commit, and every number given so far is final. Writers never wait for each other.
 */
import type { Session } from './session.ts'

/** "Swrm"; the first half of every advisory lock of the store */
export const LOCK_CLASS = 0x5377_726d
export const MIGRATION_LOCK = 1
const EVENTS_LOCK = 2

/** Grows with each change of the statements below. */
export const FUNCTIONS_VERSION = 1

/** The one place where the store asks for the time; tests put another function in its place. */
const NOW_MS = `create or replace function now_ms() returns bigint language sql volatile
  as $$ select (extract(epoch from clock_timestamp()) * 1000)::bigint $$`

const STATEMENTS: readonly string[] = [
  NOW_MS,
  `create or replace function hold_event_positions() returns trigger language plpgsql as $$
   begin
     perform pg_advisory_xact_lock_shared(${LOCK_CLASS}, ${EVENTS_LOCK});
     return null;
   end $$`,
  `create or replace trigger events_positions before insert on events
     for each statement execute function hold_event_positions()`,
  `create or replace function final_event_position() returns bigint language plpgsql as $$
   declare position bigint;
   begin
     perform pg_advisory_xact_lock(${LOCK_CLASS}, ${EVENTS_LOCK});
     select case when is_called then last_value else last_value - 1 end into position from events_seq_seq;
     return position;
   end $$`,
  // One statement of its own transaction each: the lock ends with it, whatever becomes of who asked.
  `create or replace function final_events_after(after_seq bigint, count_max integer) returns setof events
   language plpgsql as $$
   declare position bigint;
   begin
     position := final_event_position();
     return query select * from events where seq > after_seq and seq <= position order by seq limit count_max;
   end $$`,
]

/** Inside the migration's lock. */
export async function createFunctions(session: Session): Promise<void> {
  await session.exec(STATEMENTS.join(';\n'))
}
