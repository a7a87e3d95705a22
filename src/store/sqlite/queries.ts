import { type Kysely, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely'
import { createQueriesOn, type Execute, type Spelling } from '../create-queries-on.ts'
import type { Database } from '../schema.ts'

const SPELLING: Spelling = {
  createAdapter: () => new SqliteAdapter(),
  createIntrospector: (db) => new SqliteIntrospector(db),
  createQueryCompiler: () => new SqliteQueryCompiler(),
}

/** Queries in SQLite's SQL through `execute`. */
export function createQueries(execute: Execute): Kysely<Database> {
  return createQueriesOn(execute, SPELLING)
}
