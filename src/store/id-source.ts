import { type IdKind, toId } from '../domain/id.ts'

/** New identifiers; those of one instant sort in the order in which they were drawn. */
export type IdSource = <Kind extends IdKind>(kind: Kind, nowMs: number) => ReturnType<typeof toId<Kind>>

const RADIX = 32
const DIGIT_COUNT = 16

export function createIdSource(randomBytes: (byteCount: number) => Uint8Array): IdSource {
  let lastMs = Number.NaN
  let digits: Uint8Array = new Uint8Array(DIGIT_COUNT)
  return (kind, nowMs) => {
    if (nowMs !== lastMs || !increment(digits)) {
      digits = randomBytes(DIGIT_COUNT).map((byte) => byte % RADIX)
      lastMs = nowMs
    }
    return toId(kind, nowMs, digits)
  }
}

/** Adds one, the last digit first; false when there is no room for it. */
function increment(digits: Uint8Array): boolean {
  for (let at = digits.length - 1; at >= 0; at--) {
    const digit = (digits[at] ?? 0) + 1
    digits[at] = digit % RADIX
    if (digit < RADIX) return true
  }
  return false
}
