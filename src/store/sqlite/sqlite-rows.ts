import { open, rename, rm, stat } from 'node:fs/promises'
import { StoreError } from '../errors.ts'
import { MIGRATIONS } from '../migrations/list.ts'
import type { Row, RowSource, RowTarget, RowValue, StoreTable } from '../store-rows.ts'
import { type Connection, openConnection } from './connection.ts'
import { APPLICATION_ID, inspectFile, toCanonicalPath } from './inspect-file.ts'
import { migrate, readVersion } from './migrate.ts'
import { createQueries } from './queries.ts'
import { acquireStoreLock } from './store-lock.ts'
import { toStoreError } from './to-store-error.ts'

/**
 * The rows of a file that no daemon has open, nor opens meanwhile.
 * @throws StoreError `locked`, `not_found`, `conflict` when its version is another one
 */
export async function openSqliteRows(path: string): Promise<RowSource> {
  const canonical = await toCanonicalPath(path)
  const state = await inspectFile(canonical, MIGRATIONS.length)
  if (state.kind === 'new') throw new StoreError('not_found', `there is no store in ${path}`)
  const lock = acquireStoreLock(canonical)
  try {
    const connection = openConnection(canonical, { isReadOnly: true })
    if (readVersion(connection) !== MIGRATIONS.length) {
      connection.close()
      throw new StoreError(
        'conflict',
        `${path} is of an older version: start and stop the daemon of this version on it first`,
      )
    }
    connection.exec('begin')
    return {
      ...toSource(connection, path),
      async [Symbol.asyncDispose]() {
        connection.close()
        lock.release()
      },
    }
  } catch (error) {
    lock.release()
    throw toStoreError(error, path)
  }
}

/** A new file, which gets its name when it is kept. @throws StoreError `conflict` when there is one already */
export async function createSqliteRows(path: string): Promise<RowTarget> {
  const canonical = await toCanonicalPath(path)
  if ((await stat(canonical).catch(() => undefined)) !== undefined) {
    throw new StoreError('conflict', `${path} exists: a store is copied to a new file`)
  }
  const lock = acquireStoreLock(canonical)
  const partial = `${canonical}.partial`
  const remove = async () => {
    for (const ending of ['', '-wal', '-shm', '-journal']) await rm(`${partial}${ending}`, { force: true })
  }
  await remove()
  await (await open(partial, 'a', 0o600)).close()
  const connection = openConnection(partial)
  try {
    connection.exec(`pragma application_id = ${APPLICATION_ID}; pragma synchronous = full`)
    const queries = createQueries(async (sql, parameters) => connection.run(sql, parameters))
    await migrate(connection, queries, { path: partial, migrations: MIGRATIONS })
    connection.exec('begin immediate')
    const triggers = dropTriggers(connection)
    return {
      ...toSource(connection, path),
      async insert(table, rows) {
        const names = table.columns.map(quote).join(', ')
        const marks = table.columns.map(() => '?').join(', ')
        for (const row of rows) {
          connection.run(`insert into ${quote(table.name)} (${names}) values (${marks})`, row)
        }
      },
      async find(table, key) {
        const where = table.key.map((column) => `${quote(column)} = ?`).join(' and ')
        const { rows } = connection.run(`select ${select(table)} where ${where}`, key)
        return rows.map((row) => toValues(table, row))[0]
      },
      async writeSequences(sequences) {
        for (const [name, last] of Object.entries(sequences)) {
          connection.run('delete from sqlite_sequence where name = ?', [name])
          connection.run('insert into sqlite_sequence (name, seq) values (?, ?)', [name, last])
        }
      },
      async keep() {
        for (const trigger of triggers) connection.exec(trigger)
        connection.exec('commit')
        connection.close()
        await rename(partial, canonical)
      },
      async [Symbol.asyncDispose]() {
        connection.close()
        await remove()
        lock.release()
      },
    }
  } catch (error) {
    connection.close()
    await remove()
    lock.release()
    throw toStoreError(error, path)
  }
}

function toSource(connection: Connection, path: string): Omit<RowSource, typeof Symbol.asyncDispose> {
  return {
    label: path,
    listTables: async () => listTables(connection),
    async countRows(table) {
      return Number(connection.value(`select count(*) from ${quote(table.name)}`))
    },
    async readPage(table, afterKey, countMax) {
      const key = table.key.map(quote).join(', ')
      const marks = table.key.map(() => '?').join(', ')
      const behind = afterKey === undefined ? '' : `where (${key}) > (${marks})`
      const sql = `select ${select(table)} ${behind} order by ${key} limit ${countMax}`
      return connection.run(sql, afterKey ?? []).rows.map((row) => toValues(table, row))
    },
    async readSequences() {
      const { rows } = connection.run('select name, seq from sqlite_sequence', [])
      return Object.fromEntries((rows as { name: string; seq: number }[]).map(({ name, seq }) => [name, seq]))
    },
  }
}

/** What watches over moves of a status would refuse rows that do not begin. They come back with the last row. */
function dropTriggers(connection: Connection): readonly string[] {
  const { rows } = connection.run("select name, sql from sqlite_master where type = 'trigger'", [])
  const triggers = rows as { name: string; sql: string }[]
  for (const { name } of triggers) connection.exec(`drop trigger ${quote(name)}`)
  return triggers.map(({ sql }) => sql)
}

function listTables(connection: Connection): readonly StoreTable[] {
  const { rows } = connection.run(
    `select name from sqlite_master
     where type = 'table' and name not like 'sqlite_%' and name <> 'status_transitions' order by name`,
    [],
  )
  return (rows as { name: string }[]).map(({ name }) => {
    const columns = connection.run('select name, pk from pragma_table_info(?) order by name', [name])
      .rows as { name: string; pk: number }[]
    const references = connection.run('select distinct "table" as name from pragma_foreign_key_list(?)', [
      name,
    ]).rows as { name: string }[]
    return {
      name,
      columns: columns.map((column) => column.name),
      key: columns
        .filter(({ pk }) => pk > 0)
        .sort((a, b) => a.pk - b.pk)
        .map((column) => column.name),
      references: references.map((other) => other.name),
    }
  })
}

function select(table: StoreTable): string {
  return `${table.columns.map(quote).join(', ')} from ${quote(table.name)}`
}

function toValues(table: StoreTable, row: unknown): Row {
  const record = row as Readonly<Record<string, RowValue>>
  return table.columns.map((column) => record[column] ?? null)
}

/** Names of tables and columns are the store's own. */
function quote(name: string): string {
  return `"${name}"`
}
