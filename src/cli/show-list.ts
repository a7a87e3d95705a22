import type { CliContext } from './context.ts'
import { type Column, renderTable } from './table.ts'

export type Listing<Row> = {
  readonly rows: readonly Row[]
  /** What `--json` prints */
  readonly json: unknown
  /** What `-q` prints for a row */
  readonly id: (row: Row) => string
  readonly columns: readonly Column<Row>[]
  /** Said when there are no rows: most often the command that makes one */
  readonly emptyHint: string
  readonly nextCursor?: string | null
}

/** A list in the format that was asked for. */
export function showList<Row>({ output, terminal }: CliContext, listing: Listing<Row>): void {
  if (output.format === 'json') {
    output.json(listing.json)
    return
  }
  if (output.format === 'ids') {
    for (const row of listing.rows) output.line(listing.id(row))
    return
  }
  if (listing.rows.length === 0) {
    output.message(listing.emptyHint)
    return
  }
  const size = { width: terminal.columnCount, colors: output.colors }
  for (const line of renderTable(listing.rows, listing.columns, size)) output.line(line)
  if (listing.nextCursor) output.message(`there is more: add --cursor ${listing.nextCursor}`)
}
