import type { Kysely } from 'kysely'
import type { Database } from '../schema.ts'

/** What a read works with; it cannot write. */
export type ReadContext = {
  readonly db: Kysely<Database>
  /** `ms` since the epoch, by the store's clock */
  readonly now: number
  /** Position of an event that none can come before any more; absent: the last one that is there */
  readonly finalSeq?: number
}
