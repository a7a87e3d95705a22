/** Memory that was needed once, at the start or under load, goes back to the system when this process is idle. */
import { performance } from 'node:perf_hooks'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const CHECK_MS = 5_000
/** Part of the time that the event loop may be busy for the process to count as idle */
const BUSY_SHARE_MAX = 0.05
/** What a collection must be able to give back to be worth its pause, bytes */
const WORTHWHILE_BYTES = 16 * 1024 * 1024

/**
 * Looks every few seconds. A collection stops everything for some ten milliseconds, so it comes only after an idle
 * period, and only when the heap has grown since the last one. Does not keep the process alive.
 * @returns the function that ends it
 */
export function releaseMemoryWhenIdle(): () => void {
  let before = performance.eventLoopUtilization()
  let heapFloor = 0
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, before)
    before = now
    const { total_heap_size: heapSize } = getHeapStatistics()
    if (utilization > BUSY_SHARE_MAX || heapSize - heapFloor < WORTHWHILE_BYTES) return
    collectGarbage()
    heapFloor = getHeapStatistics().total_heap_size
    // The collection itself was no work that was asked for.
    before = performance.eventLoopUtilization()
  }, CHECK_MS)
  timer.unref()
  return () => clearInterval(timer)
}

/** V8 shows its collector only by a flag, and gives emptied pages back at once only as a last resort. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as (options: object) => void
  setFlagsFromString('--no-expose-gc')
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}
