import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  HandleEmptyInListsPlugin,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
  replaceWithNoncontingentExpression,
} from 'kysely'
import type { Database } from '../schema.ts'

/** Runs one compiled statement on the connection that the queries are of. */
export type Execute = (sql: string, parameters: readonly unknown[]) => Promise<QueryResult<unknown>>

/** Queries through `execute`. Transactions are the caller's: there is one connection below. */
export function createQueries(execute: Execute): Kysely<Database> {
  const connection: DatabaseConnection = {
    async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
      // The row's shape follows from the statement that Kysely has compiled and typed.
      return (await execute(sql, parameters)) as QueryResult<R>
    },
    // biome-ignore lint/correctness/useYield: a stream of rows is not offered on one connection
    async *streamQuery() {
      throw new Error('the store reads whole pages, it does not stream')
    },
  }
  const refuse = async () => {
    throw new Error('transactions are begun by the store, not by Kysely')
  }
  const dialect: Dialect = {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => ({
      init: async () => {},
      acquireConnection: async () => connection,
      beginTransaction: refuse,
      commitTransaction: refuse,
      rollbackTransaction: refuse,
      releaseConnection: async () => {},
      destroy: async () => {},
    }),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  }
  // `in ()` is no SQL; it is true for no row.
  const emptyLists = new HandleEmptyInListsPlugin({ strategy: replaceWithNoncontingentExpression })
  return new Kysely<Database>({ dialect, plugins: [emptyLists] })
}
