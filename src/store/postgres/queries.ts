import {
  HandleEmptyInListsPlugin,
  type Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  replaceWithNoncontingentExpression,
} from 'kysely'
import { createQueriesOn, type Execute, type Spelling } from '../create-queries-on.ts'
import type { Database } from '../schema.ts'

const SPELLING: Spelling = {
  createAdapter: () => new PostgresAdapter(),
  createIntrospector: (db) => new PostgresIntrospector(db),
  createQueryCompiler: () => new PostgresQueryCompiler(),
}

/** Queries in PostgreSQL's SQL through `execute`. */
export function createQueries(execute: Execute): Kysely<Database> {
  // `in ()` is no SQL; it is true for no row.
  const emptyLists = new HandleEmptyInListsPlugin({ strategy: replaceWithNoncontingentExpression })
  return createQueriesOn(execute, SPELLING, [emptyLists])
}
