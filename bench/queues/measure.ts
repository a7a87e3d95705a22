import { setTimeout as delay } from 'node:timers/promises'
import type { OpenInput, Peer, QueueUnderTest } from './contract.ts'

export type Measure =
  /** Jobs that come alone: each one when the one before is recorded as done, after a pause */
  | { readonly kind: 'latency'; readonly arrivalCount: number; readonly pauseMsMax: number }
  /** Jobs that wait when the worker starts */
  | { readonly kind: 'drain'; readonly concurrency: number; readonly jobCount: number }

export type CellResult =
  /** From the call that enqueues to the beginning of the handler, `ms` */
  | { readonly kind: 'latency'; readonly latenciesMs: readonly number[] }
  /** From the first handler until the last result is recorded */
  | { readonly kind: 'drain'; readonly jobsPerSecond: number }

/** Jobs before the measured ones: connections are open, statements prepared, code compiled */
const WARM_UP_COUNT = 20
const ENQUEUE_CONCURRENCY = 20

/** One cell: one queue, one setting, one measure; enqueued and worked on in this process. */
export async function measureCell(
  peer: Peer,
  measure: Measure,
  input: Omit<OpenInput, 'onStart' | 'concurrency'>,
): Promise<CellResult> {
  const handled = createHandled()
  const concurrency = measure.kind === 'drain' ? measure.concurrency : 1
  const queue = await peer.open({ ...input, concurrency, onStart: handled.onStart })
  try {
    return measure.kind === 'drain'
      ? { kind: 'drain', jobsPerSecond: await measureDrain(queue, handled, measure.jobCount) }
      : { kind: 'latency', latenciesMs: await measureLatency(queue, handled, measure) }
  } finally {
    await queue.close()
  }
}

type Handled = ReturnType<typeof createHandled>

/** When each handler began; waits for them. */
function createHandled() {
  const startedAt = new Map<string, number>()
  let wanted = 0
  let tell: (() => void) | undefined
  return {
    startedAt,
    onStart(id: string): void {
      if (!startedAt.has(id)) startedAt.set(id, performance.now())
      if (startedAt.size >= wanted) tell?.()
    },
    /** Resolves when handlers of that many jobs have begun. */
    async reach(count: number): Promise<void> {
      wanted = count
      if (startedAt.size >= count) return
      await new Promise<void>((resolve) => {
        tell = resolve
      })
    },
  }
}

async function measureDrain(queue: QueueUnderTest, handled: Handled, jobCount: number): Promise<number> {
  let next = 0
  const enqueue = async () => {
    while (next < jobCount) await queue.enqueue(`job-${next++}`)
  }
  await Promise.all(Array.from({ length: ENQUEUE_CONCURRENCY }, enqueue))
  await queue.start()
  await handled.reach(jobCount)
  await queue.settle()
  const firstAt = Math.min(...handled.startedAt.values())
  return jobCount / ((performance.now() - firstAt) / 1000)
}

async function measureLatency(
  queue: QueueUnderTest,
  handled: Handled,
  { arrivalCount, pauseMsMax }: { readonly arrivalCount: number; readonly pauseMsMax: number },
): Promise<number[]> {
  await queue.start()
  const latenciesMs: number[] = []
  for (let i = 0; i < WARM_UP_COUNT + arrivalCount; i++) {
    await delay((0.5 + Math.random() / 2) * pauseMsMax)
    const id = `job-${i}`
    const enqueuedAt = performance.now()
    await queue.enqueue(id)
    await handled.reach(i + 1)
    await queue.settle()
    if (i >= WARM_UP_COUNT) latenciesMs.push((handled.startedAt.get(id) ?? Number.NaN) - enqueuedAt)
  }
  return latenciesMs
}
