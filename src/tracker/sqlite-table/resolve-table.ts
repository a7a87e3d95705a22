/** Finds the configured table and columns in the file, and says what is missing and what there is instead. */
import { findNearest } from '../../domain/nearest-word.ts'
import { TrackerError, type TrackerProblem } from '../contract.ts'
import { quote } from './cell.ts'
import { MAPPED_PARTS, type MappedPart, type SqliteTableMapping } from './mapping.ts'
import { toSettingName } from './setting-name.ts'
import type { Statements } from './statements.ts'

export type TableColumn = {
  /** As the table spells it */
  readonly name: string
  readonly affinity: 'integer' | 'text' | 'blob' | 'real' | 'numeric'
  readonly isGenerated: boolean
  readonly isRequired: boolean
}

export type ResolvedTable = {
  readonly name: string
  readonly kind: 'table' | 'view'
  readonly columns: Readonly<Partial<Record<MappedPart, TableColumn>>>
  /** Whether no two rows can have one identifier, as text */
  readonly isIdUnique: boolean
  /** Whether every row has a whole number as its identifier */
  readonly isIdRowid: boolean
  /** What works without a part that is missing */
  readonly notes: readonly TrackerProblem[]
}

/** Parts that are written, and must be writable when they are mapped */
export const WRITTEN_PARTS: readonly MappedPart[] = [
  'status',
  'claimedBy',
  'updatedAt',
  'result',
  'error',
  'branch',
  'pullRequest',
]
const NEEDED_PARTS: readonly MappedPart[] = ['id', 'status', 'title']
const NAME_COUNT_MAX = 30

/** @throws TrackerError `tracker_misfit`, which names every setting that does not fit */
export function resolveTable(file: Statements, mapping: SqliteTableMapping): ResolvedTable {
  const resolved = tryResolveTable(file, mapping)
  if ('table' in resolved) return resolved.table
  throw new TrackerError('tracker_misfit', resolved.problems.map(({ problem }) => problem).join('; '), {
    fix: resolved.problems.map(({ fix }) => fix).join('; '),
  })
}

export function tryResolveTable(
  file: Statements,
  mapping: SqliteTableMapping,
): { readonly table: ResolvedTable } | { readonly problems: readonly TrackerProblem[] } {
  const wordProblems = checkWords(mapping)
  const found = file.row(
    "select name, type from main.sqlite_schema where type in ('table', 'view') and name = ? collate nocase",
    [mapping.table],
  )
  if (typeof found?.name !== 'string') return { problems: [missingTable(file, mapping), ...wordProblems] }
  const { name } = found
  const existing = readColumns(file, name)
  const columns: Partial<Record<MappedPart, TableColumn>> = {}
  const problems: TrackerProblem[] = []
  const notes: TrackerProblem[] = []
  const absent: string[] = []
  for (const part of MAPPED_PARTS) {
    const wanted = mapping.columns[part]
    const isNeeded = NEEDED_PARTS.includes(part)
    if (wanted === null && !isNeeded) continue
    const column = existing.find((candidate) => isSameName(candidate.name, wanted?.column ?? part))
    const isMust = isNeeded || wanted?.isExplicit === true
    if (column === undefined) {
      const missing = missingColumn({ mapping, table: name, part, wanted: wanted?.column ?? part, existing })
      if (isMust) problems.push(missing)
      else absent.push(wanted?.column ?? part)
    } else if (column.isGenerated && WRITTEN_PARTS.includes(part)) {
      const generated = generatedColumn(mapping, name, part, column)
      if (isMust) problems.push(generated)
      else notes.push({ ...generated, severity: 'note' })
    } else {
      columns[part] = column
    }
  }
  problems.push(...wordProblems)
  if (problems.length > 0) return { problems }
  if (absent.length > 0) notes.push(noteAbsent({ mapping, table: name, absent, existing, columns }))
  const kind = found.type === 'view' ? 'view' : 'table'
  return { table: { name, kind, columns, notes, ...readUniqueness(file, name, kind, columns.id) } }
}

function readColumns(file: Statements, table: string): readonly TableColumn[] {
  const rows = file.rows(
    'select name, type, "notnull" as is_required, hidden from pragma_table_xinfo(?, \'main\')',
    [table],
  )
  return [...rows].map(({ name, type, is_required, hidden }) => ({
    name: String(name),
    affinity: toAffinity(String(type)),
    isRequired: is_required === 1n,
    isGenerated: hidden === 2n || hidden === 3n,
  }))
}

/** SQLite's own rule. */
function toAffinity(declared: string): TableColumn['affinity'] {
  const type = declared.toUpperCase()
  if (type.includes('INT')) return 'integer'
  if (/CHAR|CLOB|TEXT/.test(type)) return 'text'
  if (type === '' || type.includes('BLOB') || type === 'ANY') return 'blob'
  return /REAL|FLOA|DOUB/.test(type) ? 'real' : 'numeric'
}

function readUniqueness(
  file: Statements,
  table: string,
  kind: 'table' | 'view',
  id: TableColumn | undefined,
) {
  if (kind === 'view' || id === undefined) return { isIdUnique: false, isIdRowid: false }
  const keys = [
    ...file.rows("select name, type, pk from pragma_table_xinfo(?, 'main') where pk > 0", [table]),
  ]
  const isOnlyKey = keys.length === 1 && keys[0]?.name === id.name
  const hasRowid =
    file.row("select wr from pragma_table_list where schema = 'main' and name = ?", [table])?.wr === 0n
  const isIdRowid = isOnlyKey && hasRowid && String(keys[0]?.type).toUpperCase() === 'INTEGER'
  const index = file.row(
    `select 1 as found from pragma_index_list(?1, 'main') as list
     where list."unique" = 1 and list.partial = 0
       and (select count(*) from pragma_index_info(list.name, 'main')) = 1
       and (select name from pragma_index_info(list.name, 'main')) = ?2`,
    [table, id.name],
  )
  // Without an affinity 1 and '1' are two values.
  return { isIdUnique: isIdRowid || (index !== undefined && id.affinity !== 'blob'), isIdRowid }
}

/** SQLite's names are the same in any case, of the letters a to z. */
function isSameName(a: string, b: string): boolean {
  const fold = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase())
  return fold(a) === fold(b)
}

function missingTable(file: Statements, mapping: SqliteTableMapping): TrackerProblem {
  const names = [
    ...file.rows(
      "select name from main.sqlite_schema where type in ('table', 'view') and name not like 'sqlite_%' order by name limit 200",
    ),
  ].map(({ name }) => String(name))
  return {
    externalId: null,
    severity: 'refused',
    problem: `table ${quote(mapping.table)} is not in ${mapping.path}`,
    fix:
      names.length === 0
        ? 'the file has no tables yet: start the program that owns it, or correct the path'
        : `set ${toSettingName(mapping.name, 'table')} to one of: ${listNames(mapping.table, names)}`,
  }
}

function missingColumn(input: {
  mapping: SqliteTableMapping
  table: string
  part: MappedPart
  wanted: string
  existing: readonly TableColumn[]
}): TrackerProblem {
  const { mapping, table, part, wanted, existing } = input
  const names = existing.filter(({ isGenerated }) => !isGenerated || !WRITTEN_PARTS.includes(part))
  const setting = toSettingName(mapping.name, 'columns', part)
  return {
    externalId: null,
    severity: 'refused',
    problem: `column ${quote(wanted)} is not in table ${quote(table)} of ${mapping.path}`,
    fix: `set ${setting} to one of: ${listNames(
      wanted,
      names.map(({ name }) => name),
    )}`,
  }
}

/** All that is not there in one note, with the columns that nobody uses: perhaps they hold it. */
function noteAbsent(input: {
  mapping: SqliteTableMapping
  table: string
  absent: readonly string[]
  existing: readonly TableColumn[]
  columns: ResolvedTable['columns']
}): TrackerProblem {
  const { mapping, table, absent, existing, columns } = input
  const used = new Set(Object.values(columns).map(({ name }) => name))
  const unused = existing.map(({ name }) => name).filter((name) => !used.has(name))
  const setting = `trackers.${mapping.name}.columns`
  return {
    externalId: null,
    severity: 'note',
    problem: `table ${quote(table)} has no ${absent.map(quote).join(', ')}: tickets are mirrored without`,
    fix:
      unused.length === 0
        ? null
        : `if other columns hold this, name them in ${setting}; not used yet: ${listNames('', unused)}`,
  }
}

function generatedColumn(
  mapping: SqliteTableMapping,
  table: string,
  part: MappedPart,
  column: TableColumn,
): TrackerProblem {
  return {
    externalId: null,
    severity: 'refused',
    problem: `column ${quote(column.name)} of table ${quote(table)} is generated and cannot be written`,
    fix: `set ${toSettingName(mapping.name, 'columns', part)} to a column that can be written${NEEDED_PARTS.includes(part) ? '' : ', or to null'}`,
  }
}

/** The nearest one first: a hint, used by nobody but the reader. */
function listNames(wanted: string, names: readonly string[]): string {
  const nearest = findNearest(wanted, names)
  const sorted = nearest === undefined ? names : [nearest, ...names.filter((name) => name !== nearest)]
  const shown = sorted.slice(0, NAME_COUNT_MAX).map((name) => (/^\w+$/.test(name) ? name : quote(name)))
  return shown.join(', ') + (sorted.length > NAME_COUNT_MAX ? ', …' : '')
}

function checkWords({ name, statuses }: SqliteTableMapping): readonly TrackerProblem[] {
  const problem = (status: 'pending' | 'running', what: string): TrackerProblem => ({
    externalId: null,
    severity: 'refused',
    problem: what,
    fix: `set ${toSettingName(name, 'statuses', status)}`,
  })
  const { pending = [], running = [] } = statuses
  if (pending.length === 0) return [problem('pending', 'no word says that a ticket is open')]
  if (running.length === 0) return [problem('running', 'no word says that a ticket was taken')]
  const shared = running.find((word) => pending.includes(word))
  if (shared === undefined) return []
  return [
    problem('running', `the word ${quote(shared)} says both that a ticket is open and that it was taken`),
  ]
}
