/** A copy of a part of the tickets' database in memory, to try writes on. In the thread only. */
import type { DatabaseSync } from 'node:sqlite'
import type { Cell } from './cell.ts'
import type { Source } from './read-tickets.ts'
import { isOneOf, quoteName, type Sql } from './row-sql.ts'
import { openDatabase, type Statements, toStatements } from './statements.ts'

export type Practice = Disposable & {
  readonly source: Source
  readonly database: DatabaseSync
  /** Whether something that a trigger or foreign key may look at is missing here */
  readonly isPartial: boolean
}

const OBJECT_COUNT_MAX = 500
const SCHEMA_CHARS_MAX = 1_000_000
/** Tickets, and rows of every other table, that are copied */
const TICKET_COUNT_MAX = 20
const ROW_COUNT_MAX = 500
const CELL_BYTES_MAX = 65_536
const COPIED_BYTES_MAX = 32 * 1_048_576

type SchemaObject = { readonly type: string; readonly name: string; readonly sql: string }

/** `undefined` where the schema is too large, or cannot be made again. */
export function createPractice(source: Source): Practice | undefined {
  const objects = listObjects(source.file)
  if (objects === undefined) return undefined
  const database = openDatabase(':memory:')
  try {
    database.exec('pragma foreign_keys = off')
    const made = (type: string) =>
      objects.filter((object) => object.type === type).every((object) => make(database, object))
    const hasTables = made('table')
    const hasVirtual = objects.some(({ type }) => type === 'virtual')
    const hasAll = made('virtual')
    const isCut = copyTables(source, database, objects)
    if (!hasTables || !made('index') || !made('view') || !made('trigger')) {
      database.close()
      return undefined
    }
    database.exec('pragma foreign_keys = on')
    return {
      source: { ...source, file: toStatements(database) },
      database,
      isPartial: isCut || hasVirtual || !hasAll,
      [Symbol.dispose]: () => database.close(),
    }
  } catch (error) {
    database.close()
    throw error
  }
}

/** Tables before virtual ones; what those keep their data in is made by them. */
function listObjects(file: Statements): readonly SchemaObject[] | undefined {
  const rows = file.rows(
    `select coalesce(list.type, found.type) as type, found.name as name, found.sql as sql
     from main.sqlite_schema as found
     left join pragma_table_list as list on list.schema = 'main' and list.name = found.name and found.type = 'table'
     where found.sql is not null and found.name not like 'sqlite\\_%' escape '\\' and coalesce(list.type, '') <> 'shadow'
     limit ${OBJECT_COUNT_MAX + 1}`,
  )
  const objects: SchemaObject[] = []
  let charCount = 0
  for (const { type, name, sql } of rows) {
    if (typeof type !== 'string' || typeof name !== 'string' || typeof sql !== 'string') return undefined
    charCount += sql.length
    objects.push({ type, name, sql })
    if (objects.length > OBJECT_COUNT_MAX || charCount > SCHEMA_CHARS_MAX) return undefined
  }
  return objects
}

/**
 * NOTE: a schema can be made to hold any text. Only the first statement of it is compiled, and only when it makes
 * an object of an empty database in memory: such a statement opens no file.
 */
function make(database: DatabaseSync, { type, sql }: SchemaObject): boolean {
  if (!/^create\s+(table|view|trigger|index|unique\s+index|virtual\s+table)\b/i.test(sql)) return false
  if (type === 'table' && /\bas\s+(select|with|values)\b/i.test(sql)) return false
  try {
    database.prepare(sql).run()
    return true
  } catch {
    // For instance a function that only its program has: then nothing can be said here.
    return false
  }
}

/** Says whether rows were left out. */
function copyTables(source: Source, database: DatabaseSync, objects: readonly SchemaObject[]): boolean {
  const copy = toStatements(database)
  let bytesLeft = COPIED_BYTES_MAX
  let isCut = false
  for (const { name } of objects.filter(({ type }) => type === 'table')) {
    const columns = listWritableColumns(source.file, name)
    const isTickets = source.table.kind === 'table' && name === source.table.name
    const countMax = isTickets ? TICKET_COUNT_MAX : ROW_COUNT_MAX
    const from = `from main.${quoteName(name)}`
    const wanted: Sql = isTickets
      ? isOneOf(source.table, 'status', source.mapping.statuses.pending ?? [])
      : { sql: '1', values: [] }
    const cells = columns.map((column, at) => {
      const cell = `${quoteName(name)}.${quoteName(column)}`
      return `case when octet_length(${cell}) > ${CELL_BYTES_MAX} then substr(${cell}, 1, 1000) else ${cell} end as c${at}`
    })
    const rows = source.file.rows(
      `select ${cells.join(', ')} ${from} where ${wanted.sql} limit ${countMax + 1}`,
      wanted.values,
    )
    const insert = `insert or ignore into main.${quoteName(name)} (${columns.map(quoteName).join(', ')}) values (${columns.map(() => '?').join(', ')})`
    let count = 0
    for (const row of rows) {
      count += 1
      const values = columns.map((_, at): Cell => row[`c${at}`] ?? null)
      bytesLeft -= values.reduce<number>((sum, value) => sum + sizeOf(value), 0)
      if (count > countMax || bytesLeft < 0) {
        // Of the tickets a few are enough.
        isCut ||= !isTickets
        break
      }
      copy.run(insert, values)
    }
  }
  return isCut
}

function listWritableColumns(file: Statements, table: string): readonly string[] {
  const rows = file.rows("select name from pragma_table_xinfo(?, 'main') where hidden = 0", [table])
  return [...rows].map(({ name }) => String(name))
}

function sizeOf(cell: Cell): number {
  return typeof cell === 'string' || cell instanceof Uint8Array ? cell.length : 8
}
