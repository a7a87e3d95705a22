/** Who is sending an effect, so that of several coordinators each knows what a dead one has left. */
import type { Kysely } from 'kysely'
import type { StoreDialect } from '../dialect.ts'
import type { Migration } from './migration.ts'

export const effectSenders: Migration = {
  number: 4,
  name: 'effect-senders',
  async up(db: Kysely<never>, dialect: StoreDialect) {
    await db.schema.alterTable('effects').addColumn('sender', dialect.textType).execute()
  },
}
