/** SQL of a test's own on the database below a store. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Client } from 'pg'
import type { Store } from '../../src/store/contract.ts'
import type { TestSql } from './store.ts'
import type { PostgresDatabase } from './store-postgres.ts'
import { waitFor } from './wait-for.ts'

let copyCount = 0

/** On a copy of the file. */
export async function withSqliteCopy<T>(
  store: Store,
  folder: string,
  work: (sql: TestSql) => Promise<T>,
): Promise<T> {
  const path = join(folder, `copy-${++copyCount}.db`)
  await store.backup(path)
  const copy = new DatabaseSync(path)
  try {
    copy.exec('pragma foreign_keys = on')
    return await work(toSqliteSql(copy))
  } finally {
    copy.close()
    await rm(path)
  }
}

function toSqliteSql(copy: DatabaseSync): TestSql {
  const definitionOf = (name: string) =>
    String(copy.prepare('select sql from sqlite_master where name = ?').get(name)?.sql)
  const exec = async (sql: string) => {
    copy.exec('savepoint statement')
    try {
      copy.exec(sql)
      copy.exec('release statement')
    } catch (error) {
      copy.exec('rollback to statement; release statement')
      throw error
    }
  }
  return {
    all: async (sql) => copy.prepare(sql).all(),
    exec,
    async listTables() {
      const tables = copy
        .prepare(
          "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by name",
        )
        .all()
      return tables.map(({ name }) => String(name))
    },
    async listColumns(table) {
      return copy
        .prepare(`select name from pragma_table_info('${table}')`)
        .all()
        .map(({ name }) => String(name))
    },
    async listStatuses(table) {
      const list = /"status" text not null check \(status in \(([^)]*)\)\)/.exec(definitionOf(table))?.[1]
      return (list ?? '').replaceAll("'", '').split(', ')
    },
    async withoutMoveGuard(table, part) {
      const trigger = definitionOf(`${table}_status_moves`)
      copy.exec(`drop trigger ${table}_status_moves`)
      await part()
      copy.exec(trigger)
    },
    refusals: {
      check: /CHECK/,
      notNull: /NOT NULL/,
      type: /cannot store TEXT/,
      foreignKey: /FOREIGN KEY/,
      unique: /UNIQUE/,
    },
  }
}

/** In a transaction that is rolled back. */
export async function withPostgresSql<T>(
  { server, name }: PostgresDatabase,
  work: (sql: TestSql) => Promise<T>,
): Promise<T> {
  const client = await server.connect(name)
  try {
    await client.query('begin')
    return await work(toPostgresSql(client))
  } finally {
    await client.query('rollback')
    await client.end()
  }
}

/** The statement's transaction commits when the part has ended. */
export async function whileUncommitted(
  { server, name }: PostgresDatabase,
  statement: string,
  part: () => Promise<void>,
): Promise<void> {
  const client = await server.connect(name)
  try {
    await client.query('begin')
    await client.query(statement)
    await part()
    await client.query('commit')
  } finally {
    await client.end()
  }
}

export async function waitUntilBlocked({ server, name }: PostgresDatabase): Promise<void> {
  await waitFor('a wait for a lock', async () => {
    const waiting = await server.run(
      name,
      `select pid from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock'`,
    )
    return waiting.length > 0 ? waiting : undefined
  })
}

function toPostgresSql(client: Client): TestSql {
  const all = async (sql: string) => (await client.query(sql)).rows as Record<string, unknown>[]
  return {
    all,
    async exec(sql) {
      await client.query('savepoint statement')
      try {
        await client.query(sql)
        await client.query('release statement')
      } catch (error) {
        await client.query('rollback to statement; release statement')
        throw error
      }
    },
    async listTables() {
      const tables = await all(
        "select tablename from pg_tables where schemaname = 'swarm' order by tablename",
      )
      return tables.map(({ tablename }) => String(tablename))
    },
    async listColumns(table) {
      const columns = await all(
        `select column_name from information_schema.columns
         where table_schema = 'swarm' and table_name = '${table}' order by ordinal_position`,
      )
      return columns.map(({ column_name }) => String(column_name))
    },
    async listStatuses(table) {
      const [constraint] = await all(
        `select pg_get_constraintdef(oid) as text from pg_constraint where conname = '${table}_status_check'`,
      )
      return [...String(constraint?.text).matchAll(/'(\w+)'/g)].map(([, status]) => String(status))
    },
    async withoutMoveGuard(table, part) {
      await all(`alter table ${table} disable trigger ${table}_status_moves`)
      await part()
      await all(`alter table ${table} enable trigger ${table}_status_moves`)
    },
    refusals: {
      check: /check constraint/,
      notNull: /not-null constraint/,
      type: /invalid input syntax/,
      foreignKey: /foreign key constraint/,
      unique: /unique constraint/,
    },
  }
}
