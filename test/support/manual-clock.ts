import type { Clock } from '../../src/platform/clock.ts'

/** A clock that stands still until a test moves it. */
export type ManualClock = Clock & {
  advance(byMs: number): void
  set(atMs: number): void
}

/** An instant well after 2001, so that identifiers sort and dates read as dates: 1 March 2026, 12:00 UTC. */
export const MANUAL_CLOCK_START = Date.UTC(2026, 2, 1, 12)

export function createManualClock(startMs: number = MANUAL_CLOCK_START): ManualClock {
  let nowMs = startMs
  return {
    now: () => nowMs,
    advance(byMs) {
      nowMs += byMs
    },
    set(atMs) {
      nowMs = atMs
    },
  }
}
