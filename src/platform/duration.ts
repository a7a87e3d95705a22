const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const PART = /(\d{1,9})(ms|[smhd])/g
const WHOLE = /^(?:\d{1,9}(?:ms|[smhd]))+$/

/** How operators write a duration, for error messages. */
export const DURATION_EXAMPLES = '500ms, 30s, 10m, 2h, 1h30m or 7d'

/** Milliseconds of `30s`, `1h30m`, `250ms` …, or `undefined` when the text is no duration. */
export function parseDurationMs(text: string): number | undefined {
  if (!WHOLE.test(text)) return undefined
  let totalMs = 0
  for (const [, count, unit] of text.matchAll(PART)) totalMs += Number(count) * (UNIT_MS[unit ?? ''] ?? 0)
  return Number.isSafeInteger(totalMs) ? totalMs : undefined
}
