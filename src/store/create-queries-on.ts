import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  Kysely,
  type KyselyPlugin,
  type QueryResult,
} from 'kysely'
import type { Database } from './schema.ts'

/** Runs one compiled statement somewhere: on the connection that the queries are of, or in a worker. */
export type Execute = (sql: string, parameters: readonly unknown[]) => Promise<QueryResult<unknown>>

/** How statements are spelled for the database below. */
export type Spelling = Pick<Dialect, 'createAdapter' | 'createIntrospector' | 'createQueryCompiler'>

/** Queries through `execute`. Transactions and turns are the caller's: there is one connection below. */
export function createQueriesOn(
  execute: Execute,
  spelling: Spelling,
  plugins: KyselyPlugin[] = [],
): Kysely<Database> {
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
    ...spelling,
    createDriver: () => ({
      init: async () => {},
      acquireConnection: async () => connection,
      beginTransaction: refuse,
      commitTransaction: refuse,
      rollbackTransaction: refuse,
      releaseConnection: async () => {},
      destroy: async () => {},
    }),
  }
  return new Kysely<Database>({ dialect, plugins })
}
