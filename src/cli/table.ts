import { escapeLine } from './escape-text.ts'
import type { Colors } from './output.ts'

export type Column<Row> = {
  readonly title: string
  /** The text as it is; it is escaped here */
  readonly value: (row: Row) => string
  /** Colours the text after it was padded */
  readonly paint?: (text: string, row: Row) => string
  /** Gives way when the terminal is narrow */
  readonly isFlexible?: boolean
}

const GAP = '  '
const FLEXIBLE_WIDTH_MIN = 16
/** Without a terminal one long text must not push away the columns behind it in every other row */
const PADDED_WIDTH_MAX = 80

/**
 * Lines of a table, its head first. Untrusted text in it is made harmless.
 * @param width of the terminal, characters; `null`: no text is cut
 */
export function renderTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  { width, colors }: { width: number | null; colors: Colors },
): readonly string[] {
  const cells = rows.map((row) => columns.map((column) => escapeLine(column.value(row))))
  const natural = columns.map((column, index) =>
    Math.max(displayWidth(column.title), ...cells.map((line) => displayWidth(line[index] ?? ''))),
  )
  const widths = fitWidths(natural, columns, width)
  const head = columns.map((column, index) => colors.bold(pad(column.title, widths[index] ?? 0)))
  const lines = rows.map((row, rowIndex) =>
    columns.map((column, index) => {
      const cell = cells[rowIndex]?.[index] ?? ''
      const columnWidth = widths[index] ?? 0
      const text = pad(width === null ? cell : cut(cell, columnWidth), columnWidth)
      return column.paint === undefined ? text : column.paint(text, row)
    }),
  )
  return [head, ...lines].map((line) => line.join(GAP).trimEnd())
}

function fitWidths<Row>(
  natural: readonly number[],
  columns: readonly Column<Row>[],
  width: number | null,
): readonly number[] {
  if (width === null)
    return natural.map((each, index) =>
      columns[index]?.isFlexible === true ? Math.min(each, PADDED_WIDTH_MAX) : each,
    )
  const total = natural.reduce((sum, each) => sum + each, GAP.length * (natural.length - 1))
  if (total <= width) return natural
  let excess = total - width
  return natural.map((each, index) => {
    if (columns[index]?.isFlexible !== true) return each
    const shrunk = Math.max(Math.min(each, FLEXIBLE_WIDTH_MIN), each - excess)
    excess -= each - shrunk
    return shrunk
  })
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - displayWidth(text)))
}

/** Cuts between characters as people see them. */
export function cut(text: string, width: number): string {
  if (displayWidth(text) <= width) return text
  let kept = ''
  let keptWidth = 0
  for (const { segment } of SEGMENTER.segment(text)) {
    const next = keptWidth + displayWidth(segment)
    if (next > width - 1) break
    kept += segment
    keptWidth = next
  }
  return `${kept}…`
}

const SEGMENTER = new Intl.Segmenter('en', { granularity: 'grapheme' })
const PLAIN = /^[\u0020-\u007e]*$/
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}|\p{Extended_Pictographic}\ufe0f/u

/** Columns that a terminal gives to the text: two for East Asian letters and emoji. */
export function displayWidth(text: string): number {
  if (PLAIN.test(text)) return text.length
  let width = 0
  for (const { segment } of SEGMENTER.segment(text)) width += WIDE.test(segment) ? 2 : 1
  return width
}
