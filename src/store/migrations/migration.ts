import type { Kysely } from 'kysely'
import type { StoreDialect } from '../dialect.ts'

/** One step of the schema's history. Once released it is never edited. */
export type Migration = {
  /** From 1, without gaps; the store's version after it */
  readonly number: number
  readonly name: string
  /** Runs inside a transaction of its own, with the version's change. */
  up(db: Kysely<never>, dialect: StoreDialect): Promise<void>
}
