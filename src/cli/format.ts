import type { Colors } from './output.ts'

/** `5s`, `12m`, `3h`, `2d`: the largest unit only. */
export function formatAge(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 60) return `${seconds}s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h`
  return `${Math.floor(seconds / 86_400)}d`
}

/** How long ago an instant of the API was. */
export function formatSince(instant: string | null, nowMs: number): string {
  return instant === null ? '' : formatAge(nowMs - Date.parse(instant))
}

/** `450ms`, `3.2s`, `4m12s`. */
export function formatElapsed(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))}ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)}s`
  return `${Math.floor(ms / 60_000)}m${String(Math.floor((ms % 60_000) / 1000)).padStart(2, '0')}s`
}

/** Time of day of an instant, for lines that follow each other. */
export function formatClock(instant: string): string {
  return instant.slice(11, 19)
}

const STATUS_COLORS: Readonly<Record<string, 'green' | 'red' | 'yellow' | 'cyan' | 'dim'>> = {
  done: 'green',
  succeeded: 'green',
  merged: 'green',
  ok: 'green',
  failed: 'red',
  lost: 'red',
  running: 'cyan',
  waiting: 'yellow',
  review: 'yellow',
  blocked: 'yellow',
  open: 'cyan',
  canceled: 'dim',
  skipped: 'dim',
  closed: 'dim',
  draft: 'dim',
}

/** A status word in its colour; the word alone says it all. */
export function paintStatus(text: string, status: string, colors: Colors): string {
  const color = STATUS_COLORS[status]
  return color === undefined ? text : colors[color](text)
}

/** Our reasons as words: `waiting_for_review` → `waiting for review`. */
export function formatReason(reason: string | null): string {
  return reason === null ? '' : reason.replaceAll('_', ' ')
}
