/** Tickets mirrored from a tracker know it without a further query, and a run that is to end knows why. */
import { type Kysely, sql } from 'kysely'
import type { Migration } from './migration.ts'

export const trackers: Migration = {
  number: 2,
  name: 'trackers',
  async up(db: Kysely<never>) {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
  },
}

const STATEMENTS: readonly string[] = [
  'alter table tickets add column tracker text',
  'alter table tickets add column external_id text',
  // The mirrored tickets that are not ended, in the order in which they are compared with their tracker.
  `create index tickets_mirrored_open on tickets (tracker, external_id)
     where tracker is not null and finished_at is null`,
  'alter table runs add column cancel_reason text',
  'alter table runs add column cancel_detail text',
]
