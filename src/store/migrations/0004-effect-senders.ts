/** Who is sending an effect, so that of several coordinators each knows what a dead one has left. */
import { type Kysely, sql } from 'kysely'
import type { Migration } from './migration.ts'

export const effectSenders: Migration = {
  number: 4,
  name: 'effect-senders',
  async up(db: Kysely<never>) {
    await sql.raw('alter table effects add column sender text').execute(db)
  },
}
