/** Moving a store to another kind of store, put together from the two kinds. */
import type { StorePlace } from './config/parse-store.ts'
import { createPostgresRows, openPostgresRows } from './store/postgres/postgres-rows.ts'
import { createSqliteRows, openSqliteRows } from './store/sqlite/sqlite-rows.ts'
import { type CopiedTable, copyRows, type RowSource, type RowTarget } from './store/store-rows.ts'

/** A password that is left out: `PGPASSWORD` or the password file */
export type CopyPlace = StorePlace & { readonly password?: string }

export type StoreCopy = {
  readonly from: string
  readonly to: string
  readonly rowCount: number
  readonly tables: readonly CopiedTable[]
}

/**
 * Copies every row of a store that no daemon has open to an empty one, and compares each before it is kept.
 * @throws StoreError, and then the target is as it was
 */
export async function copyStore(from: CopyPlace, to: CopyPlace, signal: AbortSignal): Promise<StoreCopy> {
  const source = await openSource(from)
  try {
    const target = await openTarget(to)
    try {
      const tables = await copyRows(source, target, { signal })
      const rowCount = tables.reduce((sum, table) => sum + table.rowCount, 0)
      return { from: source.label, to: target.label, rowCount, tables }
    } finally {
      await target[Symbol.asyncDispose]()
    }
  } finally {
    await source[Symbol.asyncDispose]()
  }
}

async function openSource(place: CopyPlace): Promise<RowSource> {
  return place.kind === 'sqlite' ? await openSqliteRows(place.path) : await openPostgresRows(place)
}

async function openTarget(place: CopyPlace): Promise<RowTarget> {
  return place.kind === 'sqlite' ? await createSqliteRows(place.path) : await createPostgresRows(place)
}
