/** Pieces of statements. Names are quoted, values are always bound. */
import { TrackerError } from '../contract.ts'
import { type Cell, toCandidates } from './cell.ts'
import type { MappedPart } from './mapping.ts'
import type { ResolvedTable } from './resolve-table.ts'

export type Sql = { readonly sql: string; readonly values: readonly Cell[] }

export function quoteName(name: string): string {
  if (name.includes('\0'))
    throw new TrackerError('tracker_misfit', 'a name in the file holds a NUL character')
  return `"${name.replaceAll('"', '""')}"`
}

export function fromTable(table: ResolvedTable): string {
  return `main.${quoteName(table.name)}`
}

/** Always with the table before it: a quoted name that is no column would be taken for a text. */
export function columnOf(table: ResolvedTable, part: MappedPart): string {
  const column = table.columns[part]
  if (column === undefined) throw new Error(`the part ${part} is not mapped`)
  return `${quoteName(table.name)}.${quoteName(column.name)}`
}

/** The value, compared letter by letter whatever the column's own collation is. */
export function exactly(table: ResolvedTable, part: MappedPart): string {
  return `${columnOf(table, part)} collate binary`
}

/** Whether the part is one of these texts, or of the numbers that read like them. */
export function isOneOf(table: ResolvedTable, part: MappedPart, texts: readonly string[]): Sql {
  const values = texts.flatMap(toCandidates)
  return { sql: `(${exactly(table, part)}) in (${values.map(() => '?').join(', ')})`, values }
}

/** The value, unless it has more bytes than are wanted: those are never loaded. */
export function bounded(table: ResolvedTable, part: MappedPart, bytesMax: number): string {
  const column = columnOf(table, part)
  return `case when octet_length(${column}) <= ${bytesMax} then ${column} end`
}
