import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import type { Database } from '../schema.ts'

/** Runs compiled statements somewhere: on a connection here, or in a worker. */
export type Execute = (sql: string, parameters: readonly unknown[]) => Promise<QueryResult<unknown>>

/** Queries through `execute`. Transactions and turns are the caller's: there is one connection below. */
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
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => ({
      init: async () => {},
      acquireConnection: async () => connection,
      beginTransaction: refuse,
      commitTransaction: refuse,
      rollbackTransaction: refuse,
      releaseConnection: async () => {},
      destroy: async () => {},
    }),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
  return new Kysely<Database>({ dialect })
}
