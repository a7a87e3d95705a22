import { StoreError } from '../errors.ts'

/** Where a page ended: newest first, so the next page holds what is older. */
export type Position = { readonly createdAt: number; readonly id: string }

const COUNT_DEFAULT = 50
const COUNT_MAX = 500

/** Opaque outside; a page is bounded whatever was asked. */
export function toCursor(position: Position): string {
  return Buffer.from(JSON.stringify([position.createdAt, position.id])).toString('base64url')
}

export function parseCursor(cursor: string): Position {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    if (Array.isArray(parsed) && Number.isSafeInteger(parsed[0]) && typeof parsed[1] === 'string') {
      return { createdAt: parsed[0], id: parsed[1] }
    }
  } catch {
    // Falls through: not JSON is as wrong as JSON of another shape.
  }
  throw new StoreError('invalid_cursor', 'this cursor was not given out by the store: begin without one')
}

export function toPageSize(countMax: number | undefined): number {
  return Math.max(1, Math.min(countMax ?? COUNT_DEFAULT, COUNT_MAX))
}

/** Cuts the one row too many that tells whether there is a next page. */
export function toPage<R extends { created_at: number; id: string }, T>(
  rows: readonly R[],
  size: number,
  convert: (row: R) => T,
): { items: readonly T[]; nextCursor: string | null } {
  const kept = rows.slice(0, size)
  const last = kept.at(-1)
  const nextCursor =
    rows.length > size && last !== undefined ? toCursor({ createdAt: last.created_at, id: last.id }) : null
  return { items: kept.map(convert), nextCursor }
}
