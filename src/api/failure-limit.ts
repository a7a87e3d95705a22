import { ApiProblem } from './problem.ts'

const FAILURE_COUNT_MAX = 20
const WINDOW_MS = 60_000
/** Addresses remembered at most; the oldest window goes first */
const ADDRESS_COUNT_MAX = 10_000

/** Counts failed authentications by address: after 20 in a minute the address waits for the minute to end. */
export function createFailureLimit(now: () => number) {
  const windows = new Map<string, { startedAt: number; count: number }>()

  function current(address: string) {
    const window = windows.get(address)
    if (window === undefined || now() - window.startedAt < WINDOW_MS) return window
    windows.delete(address)
    return undefined
  }

  return {
    /** @throws ApiProblem 429 */
    check(address: string): void {
      const window = current(address)
      if (window === undefined || window.count < FAILURE_COUNT_MAX) return
      const waitSeconds = Math.ceil((window.startedAt + WINDOW_MS - now()) / 1000)
      throw new ApiProblem(429, 'too_many_failures', 'too many failed authentications from this address', {
        hint: `try again in ${waitSeconds} s`,
        headers: { 'retry-after': String(waitSeconds) },
      })
    },
    add(address: string): void {
      const window = current(address)
      if (window !== undefined) {
        window.count += 1
        return
      }
      const [oldest] = windows.keys()
      if (windows.size >= ADDRESS_COUNT_MAX && oldest !== undefined) windows.delete(oldest)
      windows.set(address, { startedAt: now(), count: 1 })
    },
  }
}
