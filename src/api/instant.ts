/** An instant as ISO 8601. */
export function toInstant(ms: number): string {
  return new Date(ms).toISOString()
}

/** An instant that may be absent. */
export function toInstantOrNull(ms: number | null): string | null {
  return ms === null ? null : toInstant(ms)
}

/** `notBefore` is 0 when nothing is waited for. */
export function toFutureInstant(ms: number): string | null {
  return ms === 0 ? null : toInstant(ms)
}
