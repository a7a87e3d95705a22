import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '../platform/log.ts'
import { StoreError, type StoreErrorCode } from '../store/errors.ts'

const FIRST_DELAY_MS = 250
const DELAY_MAX_MS = 5_000
const PASSING: ReadonlySet<StoreErrorCode> = new Set(['disk_full', 'unavailable', 'read_only'])

/** Whether the store may take the same write later: it has no room or cannot be reached, it did not refuse. */
export function isPassing(error: unknown): boolean {
  return error instanceof StoreError && PASSING.has(error.code)
}

/**
 * Repeats a write until the store has taken it, so that a disk that is full for a minute costs no paid result. The
 * lease-keeper ends the waiting: when the lease cannot be renewed either, the run is stopped.
 * @throws StoreError what the store refuses; its last trouble when the signal aborted
 */
export async function untilRecorded<T>(
  write: () => Promise<T>,
  { signal, logger }: { signal: AbortSignal; logger: Logger },
): Promise<T> {
  for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(2 * delayMs, DELAY_MAX_MS)) {
    try {
      return await write()
    } catch (error) {
      if (!isPassing(error) || signal.aborted) throw error
      logger.warn({ err: error, delayMs }, 'write not taken by the store; it is repeated')
      // An abort ends the pause only; the write is tried once more.
      await delay(delayMs, undefined, { signal }).catch(() => {})
    }
  }
}
