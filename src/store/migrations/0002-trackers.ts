/** Tickets mirrored from a tracker know it without a further query, and a run that is to end knows why. */
import { type Kysely, sql } from 'kysely'
import type { StoreDialect } from '../dialect.ts'
import type { Migration } from './migration.ts'

export const trackers: Migration = {
  number: 2,
  name: 'trackers',
  async up(db: Kysely<never>, dialect: StoreDialect) {
    for (const [table, column] of COLUMNS) {
      await db.schema.alterTable(table).addColumn(column, dialect.textType).execute()
    }
    for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
  },
}

const COLUMNS = [
  ['tickets', 'tracker'],
  ['tickets', 'external_id'],
  ['runs', 'cancel_reason'],
  ['runs', 'cancel_detail'],
] as const

const STATEMENTS: readonly string[] = [
  // The mirrored tickets that are not ended, in the order in which they are compared with their tracker.
  `create index tickets_mirrored_open on tickets (tracker, external_id)
     where tracker is not null and finished_at is null`,
]
