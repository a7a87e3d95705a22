import type { RunId } from '../../domain/id.ts'
import { ApiProblem } from '../problem.ts'

/** Milestones of one run that become events within a minute */
export const PROGRESS_COUNT_MAX = 120
const WINDOW_MS = 60_000
/** Runs remembered at most; the oldest window goes first */
const RUN_COUNT_MAX = 10_000

/** Every milestone is an event for good, so an agent that sends its log this way is slowed down. */
export function createProgressLimit(now: () => number) {
  const windows = new Map<RunId, { startedAt: number; count: number }>()

  function find(runId: RunId) {
    const window = windows.get(runId)
    if (window === undefined || now() - window.startedAt < WINDOW_MS) return window
    windows.delete(runId)
    return undefined
  }

  return {
    /** @throws ApiProblem 429 with the seconds to wait */
    check(runId: RunId): void {
      const window = find(runId)
      if (window === undefined || window.count < PROGRESS_COUNT_MAX) return
      const waitSeconds = Math.ceil((window.startedAt + WINDOW_MS - now()) / 1000)
      const detail = `run ${runId} told its progress ${PROGRESS_COUNT_MAX} times within a minute`
      throw new ApiProblem(429, 'too_much_progress', detail, {
        hint: `send the few milestones that matter; try again in ${waitSeconds} s`,
        headers: { 'retry-after': String(waitSeconds) },
      })
    },
    /** Counts what the holder of the run has said; nobody else can use up its count. */
    add(runId: RunId): void {
      const window = find(runId)
      if (window !== undefined) {
        window.count += 1
        return
      }
      const [oldest] = windows.keys()
      if (windows.size >= RUN_COUNT_MAX && oldest !== undefined) windows.delete(oldest)
      windows.set(runId, { startedAt: now(), count: 1 })
    },
  }
}
