/** Pages of tickets, in the order of their identifiers. In the thread only. */
import {
  FETCH_COUNT_MAX,
  type FetchByStatesInput,
  TrackerError,
  type TrackerProblem,
  type TrackerTicket,
  type TrackerTickets,
} from '../contract.ts'
import { type Cell, showCell, toExactText } from './cell.ts'
import type { SqliteTableMapping } from './mapping.ts'
import type { ResolvedTable } from './resolve-table.ts'
import { bounded, columnOf, exactly, fromTable, isOneOf, type Sql } from './row-sql.ts'
import { toSettingName } from './setting-name.ts'
import type { Row, Statements } from './statements.ts'
import {
  type ConvertedRow,
  EXTERNAL_ID_CHARS_MAX,
  type PartCell,
  READ_PARTS,
  type ReadPart,
  type TicketRow,
  toTicket,
} from './to-ticket.ts'

export type Source = {
  readonly file: Statements
  readonly table: ResolvedTable
  readonly mapping: SqliteTableMapping
}

/** A page ends after so many characters, however few tickets it has: the thread's memory is bounded */
const PAGE_CHARS_MAX = 8 * 1_048_576
const BAD_ID_COUNT_MAX = 20

export type TicketPage = TrackerTickets & { readonly nextCursor: string | null }

export function readPage(source: Source, input: FetchByStatesInput): TicketPage {
  const words = input.states.flatMap((state) => source.mapping.statuses[state] ?? [])
  if (words.length === 0) return { tickets: [], problems: [], nextCursor: null }
  const isWanted = isOneOf(source.table, 'status', words)
  const isAfter = input.cursor === undefined ? undefined : parseCursor(source.table, input.cursor)
  const where = [isWanted, isGoodId(source.table), ...(isAfter === undefined ? [] : [isAfter])]
  const page = collect(source, where)
  const { tickets, problems } = dropDoubles(source, page.rows)
  return {
    tickets,
    problems: [...(isAfter === undefined ? listBadIds(source, isWanted) : []), ...problems],
    nextCursor: page.nextCursor,
  }
}

/** Open tickets beyond the cursor, without looking at each. */
export function countAfter({ file, table, mapping }: Source, cursor: string): number {
  const where = [
    isOneOf(table, 'status', mapping.statuses.pending ?? []),
    isGoodId(table),
    parseCursor(table, cursor),
  ]
  const counted = file.row(
    `select count(*) as n from ${fromTable(table)} where ${where.map(({ sql }) => `(${sql})`).join(' and ')}`,
    where.flatMap(({ values }) => values),
  )
  return Number(counted?.n ?? 0)
}

export function readByIds(source: Source, externalIds: readonly string[]): TrackerTickets {
  if (externalIds.length > FETCH_COUNT_MAX) {
    throw new Error(`${externalIds.length} tickets were asked for; ${FETCH_COUNT_MAX} is the most`)
  }
  if (externalIds.length === 0) return { tickets: [], problems: [] }
  const asked = new Set(externalIds)
  const tickets: TrackerTicket[] = []
  const problems: TrackerProblem[] = []
  // Page by page too: identifiers that are there twice, or large, do not end it early.
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const where = [isOneOf(source.table, 'id', externalIds), isGoodId(source.table)]
    if (cursor !== undefined) where.push(parseCursor(source.table, cursor))
    const page = collect(source, where)
    const found = dropDoubles(source, page.rows)
    tickets.push(...found.tickets.filter(({ externalId }) => asked.has(externalId)))
    problems.push(...found.problems.filter(({ externalId }) => externalId !== null && asked.has(externalId)))
    cursor = page.nextCursor
  }
  return { tickets, problems }
}

type FoundRow = ConvertedRow & { readonly externalId: string }

function collect(source: Source, where: readonly Sql[]): { rows: FoundRow[]; nextCursor: string | null } {
  const { file, table, mapping } = source
  const parts = (Object.keys(READ_PARTS) as ReadPart[]).filter((part) => table.columns[part] !== undefined)
  const selected = parts.flatMap((part) => [
    `${bounded(table, part, READ_PARTS[part])} as "${part}"`,
    `octet_length(${columnOf(table, part)}) as "${part}Bytes"`,
  ])
  const rows = file.rows(
    `select ${selected.join(', ')} from ${fromTable(table)}
     where ${where.map(({ sql }) => `(${sql})`).join(' and ')}
     order by ${exactly(table, 'id')} limit ${FETCH_COUNT_MAX + 1}`,
    where.flatMap(({ values }) => values),
  )
  const found: FoundRow[] = []
  let last: Cell = null
  let charCount = 0
  for (const row of rows) {
    if (found.length === FETCH_COUNT_MAX || charCount > PAGE_CHARS_MAX) {
      return { rows: found, nextCursor: toCursor(last) }
    }
    last = row.id ?? null
    const ticketRow = toTicketRow(row, parts)
    charCount += parts.reduce((count, part) => count + (ticketRow[part]?.byteCount ?? 0), 0)
    const externalId = toExactText(last) ?? ''
    found.push({ externalId, ...convertRow(externalId, ticketRow, mapping) })
  }
  return { rows: found, nextCursor: null }
}

function toTicketRow(row: Row, parts: readonly ReadPart[]): TicketRow {
  const cells: Partial<Record<ReadPart, PartCell>> = {}
  for (const part of parts) {
    cells[part] = { cell: row[part] ?? null, byteCount: Number(row[`${part}Bytes`] ?? 0) }
  }
  return cells
}

function convertRow(externalId: string, row: TicketRow, mapping: SqliteTableMapping): ConvertedRow {
  // Such a text cannot be bound again as it stands there, so the row could never be found.
  if (!/[\0\ufffd]/.test(externalId)) return toTicket(externalId, row, mapping)
  return refuse(externalId, 'its identifier holds a NUL character, or is not UTF-8')
}

function refuse(externalId: string | null, problem: string, fix: string | null = null): ConvertedRow {
  return { ticket: undefined, problems: [{ externalId, severity: 'refused', problem, fix }] }
}

/** Rows that share an identifier are all refused: nobody could say which one is meant. */
function dropDoubles({ file, table, mapping }: Source, rows: readonly FoundRow[]): TrackerTickets {
  const doubles = table.isIdUnique ? new Set<string>() : findDoubles({ file, table }, rows)
  const fix = `set ${toSettingName(mapping.name, 'columns', 'id')} to a column whose values are unique`
  const refused = [...doubles].map((id) => refuse(id, 'several rows have this identifier', fix))
  const kept = rows.filter(({ externalId }) => !doubles.has(externalId))
  return {
    tickets: kept.flatMap(({ ticket }) => (ticket === undefined ? [] : [ticket])),
    problems: [...refused, ...kept].flatMap(({ problems }) => problems),
  }
}

function findDoubles({ file, table }: Omit<Source, 'mapping'>, rows: readonly FoundRow[]): Set<string> {
  if (rows.length === 0) return new Set()
  const ids = isOneOf(table, 'id', [...new Set(rows.map(({ externalId }) => externalId))])
  const counted = file.rows(
    `select ${exactly(table, 'id')} as id, count(*) as n from ${fromTable(table)}
     where ${ids.sql} group by ${exactly(table, 'id')}, typeof(${columnOf(table, 'id')})`,
    ids.values,
  )
  const counts = new Map<string, bigint>()
  for (const { id, n } of counted) {
    const text = toExactText(id ?? null)
    if (text !== undefined) counts.set(text, (counts.get(text) ?? 0n) + (typeof n === 'bigint' ? n : 0n))
  }
  return new Set([...counts].filter(([, count]) => count > 1n).map(([id]) => id))
}

function isGoodId(table: ResolvedTable): Sql {
  if (table.isIdRowid) return { sql: '1', values: [] }
  const id = columnOf(table, 'id')
  return {
    sql: `typeof(${id}) = 'integer' or (typeof(${id}) = 'text' and length(${id}) between 1 and ${EXTERNAL_ID_CHARS_MAX} and octet_length(${id}) <= ${READ_PARTS.id})`,
    values: [],
  }
}

function listBadIds({ file, table, mapping }: Source, isWanted: Sql): readonly TrackerProblem[] {
  if (table.isIdRowid) return []
  const id = columnOf(table, 'id')
  const rows = file.rows(
    `select ${bounded(table, 'id', READ_PARTS.id)} as id, typeof(${id}) as kind, octet_length(${id}) as bytes
     from ${fromTable(table)}
     where ${isWanted.sql} and not coalesce(${isGoodId(table).sql}, 0) limit ${BAD_ID_COUNT_MAX + 1}`,
    isWanted.values,
  )
  const fix = `set ${toSettingName(mapping.name, 'columns', 'id')} to a column with whole numbers or texts of 1 to ${EXTERNAL_ID_CHARS_MAX} characters`
  const problems = [...rows].map(({ id: cell, kind, bytes }): TrackerProblem => {
    const what = cell === null && kind !== 'null' ? `a ${kind} of ${bytes} bytes` : showCell(cell ?? null)
    return {
      externalId: null,
      severity: 'refused',
      problem: `a row has ${what} as its identifier: it is not mirrored`,
      fix,
    }
  })
  if (problems.length <= BAD_ID_COUNT_MAX) return problems
  const more = {
    externalId: null,
    severity: 'refused',
    problem: 'further rows have such identifiers',
    fix,
  } as const
  return [...problems.slice(0, BAD_ID_COUNT_MAX), more]
}

/** Whole numbers stand before texts, as SQLite sorts them. */
function toCursor(id: Cell): string {
  return typeof id === 'bigint' ? `i${id}` : `t${toExactText(id) ?? ''}`
}

function parseCursor(table: ResolvedTable, cursor: string): Sql {
  const text = cursor.slice(1)
  const isNumber = cursor.startsWith('i')
  if (!(isNumber ? /^-?\d{1,19}$/.test(text) : cursor.startsWith('t'))) {
    throw new TrackerError('tracker_misfit', 'the cursor is none of this tracker')
  }
  return { sql: `${exactly(table, 'id')} > ?`, values: [isNumber ? BigInt(text) : text] }
}
