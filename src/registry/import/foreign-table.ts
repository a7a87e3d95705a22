import { suggest } from '../../domain/nearest-word.ts'

/** What a registry of another program keeps: one table of agents, one of workflows. */
export const TABLES = ['agents', 'workflows'] as const
export type ForeignTable = (typeof TABLES)[number]

/**
 * What is read of a row. `required` must be a column or be given as a value; `optional` is looked for under its
 * own name and may be absent; `mapped` is read only when a column or a value is named for it.
 */
export const FIELDS: Readonly<
  Record<ForeignTable, Readonly<Record<'required' | 'optional' | 'mapped', readonly string[]>>>
> = {
  agents: {
    required: ['name', 'version', 'path', 'runtime'],
    optional: ['description', 'capabilities'],
    mapped: ['entry'],
  },
  workflows: { required: ['name', 'version', 'steps'], optional: ['description'], mapped: [] },
}

export type TableMapping = {
  /** Name of the table or view in the file */
  readonly table: string
  /** Column of a field, where it is not called as the field */
  readonly columns: ReadonlyMap<string, string>
  /** What to take for a field where the file says nothing */
  readonly values: ReadonlyMap<string, string>
}

/** A value as it stands in the file; too long or not text: only its size is known. */
export type Cell = string | null | { readonly tooLong: number } | { readonly binary: number }

export type ForeignRow = {
  /** Place in the table's order by name and version, from 1 */
  readonly row: number
  readonly cells: Readonly<Record<string, Cell>>
}

export type FoundColumns =
  | {
      readonly ok: true
      readonly columns: Readonly<Record<string, string>>
      readonly notes: readonly string[]
    }
  | { readonly ok: false; readonly problems: readonly string[] }

/**
 * Which column of the file holds which field. A column that is not there is never guessed: the problem says
 * which option would name it.
 * @param columns of the file's table, in its spelling
 */
export function findColumns(
  kind: ForeignTable,
  mapping: TableMapping,
  columns: readonly string[],
): FoundColumns {
  const { required, optional, mapped } = FIELDS[kind]
  const found: [field: string, column: string][] = []
  const problems: string[] = []
  const notes: string[] = []
  for (const field of [...required, ...optional, ...mapped]) {
    const said = mapping.columns.get(field)
    if (said === undefined && mapped.includes(field)) continue
    const wanted = said ?? field
    // SQLite's names of columns know no case.
    const column = columns.find((each) => each.toLowerCase() === wanted.toLowerCase())
    if (column !== undefined) {
      found.push([field, column])
      continue
    }
    const what = `table "${mapping.table}" has no column "${wanted}" (${suggest(wanted, columns) ?? 'it has none'})`
    const fix = `name it with --column ${kind}.${field}=<column>, or say what holds for all rows with --value ${kind}.${field}=<text>`
    if (said !== undefined) problems.push(`${what}: ${fix}`)
    else if (mapping.values.has(field)) continue
    else if (required.includes(field)) problems.push(`${what}: ${fix}`)
    else notes.push(`${what}: nothing is taken for it; ${fix}`)
  }
  if (problems.length > 0) return { ok: false, problems }
  return { ok: true, columns: Object.fromEntries(found), notes }
}

export type FieldText =
  | { readonly ok: true; readonly text: string | undefined }
  | { readonly ok: false; readonly problem: string }

/** The text of a field, or the value that was given where the row says nothing. */
export function readField(row: ForeignRow, field: string, mapping: TableMapping): FieldText {
  const cell = row.cells[field] ?? null
  if (typeof cell === 'string' && cell !== '') return { ok: true, text: cell }
  if (cell === null || cell === '') return { ok: true, text: mapping.values.get(field) }
  return 'tooLong' in cell
    ? { ok: false, problem: `its ${field} is too long: ${cell.tooLong} bytes` }
    : { ok: false, problem: `its ${field} is binary data, not text (${cell.binary} bytes)` }
}
