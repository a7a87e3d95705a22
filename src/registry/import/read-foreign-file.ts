/** A program of its own, started for one reading: takes a request on standard input, prints what it read as JSON. */
import { closeSync, existsSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { ForeignFileCode } from './foreign-file.ts'
import { type Cell, type ForeignRow, type ForeignTable, findColumns } from './foreign-table.ts'

export type ForeignRequest = {
  readonly path: string
  readonly busyTimeoutMs: number
  /** Time after which the reading ends itself, `ms`: who started it may have been killed */
  readonly endAfterMs: number
  readonly tables: readonly {
    readonly kind: ForeignTable
    readonly table: string
    readonly columns: readonly (readonly [field: string, column: string])[]
    readonly values: readonly (readonly [field: string, text: string])[]
  }[]
}

type Refusal = { readonly code: ForeignFileCode; readonly message: string; readonly hint?: string }
type Answer = {
  readonly rows: Partial<Record<ForeignTable, readonly ForeignRow[]>>
  readonly notes: readonly string[]
}

const ROW_COUNT_MAX = 1_000
/** Longest value that is read, bytes; steps of more could not become a workflow anyway */
const CELL_BYTES_MAX = 262_144
const READ_COUNT_MAX = 5

// Our own side of the pipe wrote this a moment ago.
const request = JSON.parse(readFileSync(0, 'utf8')) as ForeignRequest

class Refused extends Error {
  readonly refusal: Refusal
  constructor(refusal: Refusal) {
    super(refusal.message)
    this.refusal = refusal
  }
}

function readAll(): Answer | Refusal {
  try {
    for (let count = 1; count <= READ_COUNT_MAX; count++) {
      const answer = readOnce()
      if (answer !== undefined) return answer
    }
    return { code: 'locked', message: `${request.path} changed while it was read`, hint: 'try again' }
  } catch (error) {
    return error instanceof Refused ? error.refusal : describe(error)
  }
}

/**
 * A file in WAL mode that nobody has open is read as a file that does not change, for SQLite would leave two files
 * beside it otherwise. Whether that was true is looked at afterwards.
 * @returns `undefined` when somebody wrote meanwhile
 */
function readOnce(): Answer | undefined {
  const { path, busyTimeoutMs } = request
  const before = lookAt(path)
  const isAtRest = before.isWal && !before.hasLog
  const location = isAtRest ? new URL(`${pathToFileURL(path).href}?immutable=1`) : path
  const database = new DatabaseSync(location, { readOnly: true, timeout: busyTimeoutMs })
  try {
    database.exec('pragma query_only = on')
    database.exec('begin')
    const answer = readTables(database)
    return isAtRest && lookAt(path).state !== before.state ? undefined : answer
  } catch (error) {
    if (isAtRest && lookAt(path).state !== before.state) return undefined
    throw error
  } finally {
    database.close()
  }
}

function lookAt(path: string): { isWal: boolean; hasLog: boolean; state: string } {
  const { ino, size, mtimeNs } = statSync(path, { bigint: true })
  const head = readHead(path)
  const hasLog = existsSync(`${path}-wal`)
  return {
    isWal: head[18] === 2,
    hasLog,
    state: `${ino} ${size} ${mtimeNs} ${hasLog} ${head.toString('hex')}`,
  }
}

function readHead(path: string): Buffer {
  const descriptor = openSync(path, 'r')
  try {
    const head = Buffer.alloc(100)
    return head.subarray(0, readSync(descriptor, head, 0, head.length, 0))
  } finally {
    closeSync(descriptor)
  }
}

function readTables(database: DatabaseSync): Answer {
  const names = database
    .prepare(
      "select name from sqlite_schema where type in ('table', 'view') and name not like 'sqlite~_%' escape '~'",
    )
    .all()
    .map(({ name }) => String(name))
  const wanted = request.tables.map((table) => ({ ...table, ...findTable(database, table, names) }))
  const problems = wanted.flatMap((table) => (table.found.ok ? [] : table.found.problems))
  if (problems.length > 0) throw new Refused({ code: 'column_missing', message: problems.join('\n') })
  const rows: Answer['rows'] = {}
  for (const { kind, name, found } of wanted) {
    if (found.ok) rows[kind] = readRows(database, name, found.columns)
  }
  return { rows, notes: wanted.flatMap(({ found }) => (found.ok ? found.notes : [])) }
}

function findTable(
  database: DatabaseSync,
  wanted: ForeignRequest['tables'][number],
  names: readonly string[],
) {
  const { kind, table } = wanted
  const name = names.find((each) => each.toLowerCase() === table.toLowerCase())
  if (name === undefined) {
    const shown = names.slice(0, 20).map((each) => JSON.stringify(each.slice(0, 60)))
    throw new Refused({
      code: 'table_missing',
      message: `${request.path} has no table "${table}"; it has ${shown.length === 0 ? 'no tables' : shown.join(', ')}`,
      hint: `name the table with --${kind}-table <name>, or leave it out with --only ${kind === 'agents' ? 'workflows' : 'agents'}`,
    })
  }
  const columns = database
    .prepare('select name from pragma_table_xinfo(?)')
    .all(name)
    .map((column) => String(column.name))
  const mapping = { table: name, columns: new Map(wanted.columns), values: new Map(wanted.values) }
  return { name, found: findColumns(kind, mapping, columns) }
}

function readRows(
  database: DatabaseSync,
  table: string,
  columns: Readonly<Record<string, string>>,
): readonly ForeignRow[] {
  const fields = Object.entries(columns)
  const parts = fields.flatMap(([, column], index) => [
    `octet_length(${identify(column)}) as b${index}`,
    `case when octet_length(${identify(column)}) <= ${CELL_BYTES_MAX} then ${identify(column)} end as v${index}`,
  ])
  const order = ['name', 'version'].flatMap((field) => (columns[field] ? [identify(columns[field])] : []))
  const sql = `select ${parts.join(', ')} from ${identify(table)} order by ${[...order, '1'].join(', ')}`
  const statement = database.prepare(`${sql} limit ${ROW_COUNT_MAX + 1}`)
  statement.setReadBigInts(true)
  const rows: ForeignRow[] = []
  for (const found of statement.iterate()) {
    if (rows.length === ROW_COUNT_MAX) {
      throw new Refused({
        code: 'too_large',
        message: `table "${table}" has more than ${ROW_COUNT_MAX} rows`,
        hint: 'make a view of the newest versions and name it with --agents-table or --workflows-table',
      })
    }
    const cells = fields.map(([field], index) => [field, toCell(found[`v${index}`], found[`b${index}`])])
    rows.push({ row: rows.length + 1, cells: Object.fromEntries(cells) })
  }
  return rows
}

/** Names of tables and columns come from the file and the command line. */
function identify(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

function toCell(value: SQLOutputValue | undefined, bytes: SQLOutputValue | undefined): Cell {
  if (value === null || value === undefined) {
    return bytes === null || bytes === undefined ? null : { tooLong: Number(bytes) }
  }
  if (typeof value === 'string') return value
  if (typeof value !== 'object') return String(value)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(value)
  } catch {
    return { binary: value.length }
  }
}

const BUSY = 5
const READ_ONLY = 8
const CAN_NOT_OPEN = 14
const NOT_A_DATABASE = [11, 26]

function describe(error: unknown): Refusal {
  const message = error instanceof Error ? error.message : String(error)
  // The low byte of an extended code is the plain one.
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0
  const path = request.path
  if (code === BUSY) {
    return {
      code: 'locked',
      message: `another program held ${path} locked for ${request.busyTimeoutMs / 1000} seconds`,
      hint: 'try again, or stop the program that writes it',
    }
  }
  if (code === READ_ONLY || code === CAN_NOT_OPEN) {
    return {
      code: 'unreadable',
      message: `cannot read ${path} without changing it: ${message}`,
      hint: 'the program that writes it ended in the middle, or its folder cannot be written: let that program open it once, or import a copy of it with all that lies beside it (cp registry.db* <folder>)',
    }
  }
  if (NOT_A_DATABASE.includes(code)) {
    return { code: 'not_a_registry', message: `${path} is damaged: ${message}` }
  }
  return { code: 'unreadable', message: `cannot read ${path}: ${message}` }
}

/** From a thread of its own: this one may be in the middle of a statement that never ends. */
function endInTime({ endAfterMs }: ForeignRequest): void {
  const program = `setTimeout(() => process.kill(process.pid, 'SIGKILL'), ${Number(endAfterMs)})`
  new Worker(program, { eval: true }).unref()
}

endInTime(request)
process.stdout.write(JSON.stringify(readAll()))
