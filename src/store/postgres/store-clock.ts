/**
 * The database's clock, as this process last heard it. Every transaction asks the database; this is for who cannot
 * wait for an answer.
 */
export type StoreClock = {
  /** `ms` since the epoch */
  now(): number
  /** What the database said just now */
  hear(databaseNow: number): void
}

export function createStoreClock(databaseNow: number): StoreClock {
  let heard = databaseNow
  let heardAt = performance.now()
  return {
    now: () => Math.floor(heard + performance.now() - heardAt),
    hear(now) {
      heard = now
      heardAt = performance.now()
    },
  }
}
