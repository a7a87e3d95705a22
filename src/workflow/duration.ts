const UNIT_MS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const
const DURATION = /^(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m(?!s))?(?:(\d{1,9})s)?(?:(\d{1,9})ms)?$/

/** Longest time that a workflow may name: a year, `ms` */
export const DURATION_MS_MAX = 365 * UNIT_MS.d

/** How a duration is written, for error messages. */
export const DURATION_HINT = 'write a duration such as 500ms, 30s, 10m, 2h or 1h30m, at most 365d'

/** Milliseconds of `30s`, `1h30m`, `250ms` …, or `undefined` when the text is no duration. */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text)
  if (match === null || text === '') return undefined
  const [, d, h, m, s, ms] = match
  const totalMs =
    Number(d ?? 0) * UNIT_MS.d +
    Number(h ?? 0) * UNIT_MS.h +
    Number(m ?? 0) * UNIT_MS.m +
    Number(s ?? 0) * UNIT_MS.s +
    Number(ms ?? 0)
  return totalMs <= DURATION_MS_MAX ? totalMs : undefined
}

/** The shortest text that `parseDuration` reads back as the same whole milliseconds: `1h30m`. */
export function formatDuration(durationMs: number): string {
  let restMs = Math.max(0, Math.round(durationMs))
  let text = ''
  for (const [unit, unitMs] of Object.entries(UNIT_MS)) {
    const count = Math.floor(restMs / unitMs)
    restMs -= count * unitMs
    if (count > 0) text += `${count}${unit}`
  }
  return text === '' ? '0s' : text
}
