/** A value as SQLite gives it; whole numbers are big, so that none is rounded. */
export type Cell = null | bigint | number | string | Uint8Array

const SHOWN_CHARS_MAX = 60

/** For people: one line, quoted, never long. */
export function showCell(cell: Cell): string {
  if (cell === null) return 'NULL'
  if (cell instanceof Uint8Array) return `a BLOB of ${cell.length} bytes`
  return typeof cell === 'string' ? quote(cell) : String(cell)
}

/** A text from outside in quotes, shortened; control characters become escapes. */
export function quote(text: string): string {
  const isLong = text.length > SHOWN_CHARS_MAX
  return JSON.stringify(isLong ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text)
}

/** A whole number that SQLite can hold, from its one spelling; `undefined` for every other text. */
export function parseWholeNumber(text: string): bigint | undefined {
  if (!/^(0|-?[1-9][0-9]{0,18})$/.test(text)) return undefined
  const number = BigInt(text)
  return BigInt.asIntN(64, number) === number ? number : undefined
}

/** What is bound to find a text that may stand there as a number, too. */
export function toCandidates(text: string): readonly Cell[] {
  const number = parseWholeNumber(text)
  return number === undefined ? [text] : [text, number]
}

/** Words and identifiers as text; `undefined` for what has no exact one. */
export function toExactText(cell: Cell): string | undefined {
  if (typeof cell === 'string') return cell
  return typeof cell === 'bigint' ? String(cell) : undefined
}
