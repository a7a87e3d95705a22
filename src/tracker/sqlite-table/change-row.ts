/** Takes tickets and writes back. In the thread only, inside a transaction that nobody else writes in. */
import {
  type TakeInput,
  type TakeResult,
  TrackerError,
  type WriteBackInput,
  type WriteBackResult,
} from '../contract.ts'
import { isMarked, judgeTake, judgeWriteBack } from '../ownership.ts'
import { adviseRefusal } from './advise-refusal.ts'
import { type Cell, parseWholeNumber, quote, showCell, toExactText } from './cell.ts'
import { readInstant, type Spelling, spellInstant } from './instant.ts'
import type { MappedPart } from './mapping.ts'
import type { Source } from './read-tickets.ts'
import { WRITTEN_PARTS } from './resolve-table.ts'
import { bounded, exactly, fromTable, isOneOf, quoteName } from './row-sql.ts'
import { toSettingName } from './setting-name.ts'
import type { Row } from './statements.ts'

/** Parts that a change looks at */
const CHANGED_PARTS = [
  'id',
  'status',
  'claimedBy',
  'updatedAt',
  'createdAt',
  'result',
  'error',
  'branch',
  'pullRequest',
] as const
type ChangedPart = (typeof CHANGED_PARTS)[number]
const CELL_BYTES_MAX = 1_048_576
const BY_CHARS_MAX = 200
/** Rows that are looked at for how instants are spelled, while nobody else can write */
const SPELLING_ROW_COUNT_MAX = 1_000

type Changes = ReadonlyMap<ChangedPart, Cell>

export function takeRow(source: Source, input: TakeInput, now: number): TakeResult {
  const row = findRow(source, input.externalId)
  if (row === undefined) return { kind: 'absent' }
  const standing = toStanding(source, row)
  const { statuses } = source.mapping
  const judgement = judgeTake(standing, input, statuses)
  if (judgement === 'lost') return { kind: 'lost', word: standing.word, by: standing.by ?? null }
  if (judgement === 'ours') return { kind: 'taken', word: standing.word }
  const word = statuses.running?.[0] ?? ''
  const wanted = new Map<ChangedPart, Cell>([
    ['status', word],
    ['claimedBy', input.mark],
  ])
  change(source, row, toDifferences(source, row, wanted), now)
  return { kind: 'taken', word }
}

export function writeBackRow(source: Source, input: WriteBackInput): WriteBackResult {
  const row = findRow(source, input.externalId)
  if (row === undefined) return { kind: 'absent' }
  const standing = toStanding(source, row)
  const { statuses } = source.mapping
  const judgement = judgeWriteBack(standing, input, statuses)
  const words = statuses[input.status] ?? []
  const word = words.includes(standing.word) ? standing.word : (words[0] ?? null)
  const changes = toDifferences(source, row, toWanted(input, word))
  if (judgement === 'lost' || (judgement === 'ended' && changes.size > 0)) {
    return { kind: 'lost', word: standing.word, by: standing.by ?? null }
  }
  change(source, row, changes, input.at)
  return { kind: 'written', word }
}

/** Compiles the statement that a change would run, triggers included, without running it. */
export function compileUpdate(source: Source): void {
  const written = CHANGED_PARTS.filter(
    (part) => WRITTEN_PARTS.includes(part) && source.table.columns[part] !== undefined,
  )
  const { sql } = toUpdate(source, {}, new Map(written.map((part) => [part, null])))
  try {
    source.file.compile(sql)
  } catch (error) {
    throw adviseRefusal(error, source, null)
  }
}

function toWanted(input: WriteBackInput, word: string | null): Changes {
  const changes = new Map<ChangedPart, Cell>([['error', input.error]])
  if (word !== null) changes.set('status', word)
  if (!isMarked(input.status)) changes.set('claimedBy', null)
  if (input.outputs !== null) changes.set('result', JSON.stringify(input.outputs))
  if (input.branch !== null) changes.set('branch', input.branch)
  if (input.pullRequest !== null) changes.set('pullRequest', input.pullRequest)
  return changes
}

function findRow({ file, table, mapping }: Source, externalId: string): Row | undefined {
  const parts = CHANGED_PARTS.filter((part) => table.columns[part] !== undefined)
  const isAsked = isOneOf(table, 'id', [externalId])
  const selected = parts.map((part) => `${bounded(table, part, CELL_BYTES_MAX)} as "${part}"`)
  const found = [
    ...file.rows(
      `select ${selected.join(', ')} from ${fromTable(table)} where ${isAsked.sql} limit 3`,
      isAsked.values,
    ),
  ].filter((row) => toExactText(row.id ?? null) === externalId)
  if (found.length < 2) return found[0]
  throw new TrackerError('tracker_refused', `several rows have the identifier ${quote(externalId)}`, {
    fix: `set ${toSettingName(mapping.name, 'columns', 'id')} to a column whose values are unique`,
  })
}

function toStanding({ table }: Source, row: Row) {
  const by = row.claimedBy ?? null
  return {
    word: toExactText(row.status ?? null) ?? showCell(row.status ?? null),
    by: table.columns.claimedBy === undefined ? undefined : by === '' ? null : showBy(by),
  }
}

function showBy(by: Cell): string | null {
  if (by === null) return null
  return (toExactText(by) ?? showCell(by)).slice(0, BY_CHARS_MAX)
}

/** What does not stand there yet of what has a place there, in the form in which it is kept. */
function toDifferences({ table }: Source, row: Row, wanted: Changes): Changes {
  const differences = new Map<ChangedPart, Cell>()
  for (const [part, cell] of wanted) {
    const column = table.columns[part]
    if (column === undefined) continue
    const written = toStored(cell, { isRequired: column.isRequired, current: row[part] ?? null, part })
    if (!isSame(written, row[part] ?? null)) differences.set(part, written)
  }
  return differences
}

/** Writes, then looks whether it stands there: triggers of the owner may refuse, ignore or rewrite. */
function change(source: Source, row: Row, differences: Changes, at: number): void {
  if (differences.size === 0) return
  const { file } = source
  const changes = new Map(differences)
  const spelling = findSpelling(source, row)
  if (spelling !== undefined) changes.set('updatedAt', spellInstant(at, spelling))
  const { sql, values } = toUpdate(source, row, changes)
  try {
    file.run(sql, values)
  } catch (error) {
    throw adviseRefusal(error, source, changes.get('status') ?? null)
  }
  assertStands(source, row, changes)
}

function toUpdate({ table }: Source, row: Row, changes: Changes) {
  const set = [...changes.keys()].map((part) => `${quoteName(table.columns[part]?.name ?? '')} = ?`)
  return {
    sql: `update ${fromTable(table)} set ${set.join(', ')} where ${exactly(table, 'id')} = ? and ${exactly(table, 'status')} is ?`,
    values: [...changes.values(), row.id ?? null, row.status ?? null],
  }
}

/** The form in which the column keeps it: no NULL where none may be, numbers where the words are numbers. */
function toStored(cell: Cell, column: { isRequired: boolean; current: Cell; part: MappedPart }): Cell {
  if (cell === null) return column.isRequired ? '' : null
  if (column.part !== 'status' || typeof cell !== 'string' || typeof column.current !== 'bigint') return cell
  return parseWholeNumber(cell) ?? cell
}

function isSame(a: Cell, b: Cell): boolean {
  return (
    a === b || (a !== null && b !== null && toExactText(a) !== undefined && toExactText(a) === toExactText(b))
  )
}

/** How this row spells the time of its last change, or else another row, or how it spells its creation. */
function findSpelling({ file, table }: Source, row: Row): Spelling | undefined {
  if (table.columns.updatedAt === undefined) return undefined
  const own = readInstant(row.updatedAt ?? null)
  if (own !== undefined) return own.spelling
  const others = file.rows(
    `select cell from (
       select ${bounded(table, 'updatedAt', 100)} as cell from ${fromTable(table)} limit ${SPELLING_ROW_COUNT_MAX}
     ) where cell is not null limit 20`,
  )
  for (const { cell } of others) {
    const found = readInstant(cell ?? null)
    if (found !== undefined) return found.spelling
  }
  return readInstant(row.createdAt ?? null)?.spelling
}

function assertStands(source: Source, row: Row, changes: Changes): void {
  const { table } = source
  const now = findRow(source, toExactText(row.id ?? null) ?? '')
  if (now === undefined) {
    throw new TrackerError(
      'tracker_refused',
      `after the write the row is not in ${quote(table.name)} any more; it was undone`,
      {
        fix: `set ${toSettingName(source.mapping.name, 'table')} to a table or view that shows tickets of every status`,
      },
    )
  }
  for (const part of ['status', 'claimedBy'] as const) {
    const wanted = changes.get(part)
    if (wanted === undefined || isSame(wanted, now[part] ?? null)) continue
    const was = isSame(row[part] ?? null, now[part] ?? null)
    throw new TrackerError(
      'tracker_refused',
      `${quote(table.columns[part]?.name ?? '')} was set to ${showCell(wanted)}, and ${
        was
          ? `still is ${showCell(now[part] ?? null)}`
          : `a trigger made ${showCell(now[part] ?? null)} of it`
      }; it was undone`,
      { fix: `change the trigger of table ${quote(table.name)}, or map other words or columns` },
    )
  }
}
