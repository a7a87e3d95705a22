import { Worker } from 'node:worker_threads'
import type { Execute } from '../create-queries-on.ts'
import { StoreError } from '../errors.ts'

export type ReadRequest = {
  readonly id: number
  readonly sql: string
  readonly parameters: readonly unknown[]
}
export type ReadReply =
  | { readonly id: number; readonly rows: readonly unknown[] }
  | { readonly id: number; readonly message: string; readonly errcode: number }

export type ReadWorker = {
  readonly execute: Execute
  /** Ends the thread; what is still asked is refused. May be called twice. */
  close(): Promise<void>
}

type Pending = { readonly resolve: (rows: unknown[]) => void; readonly reject: (error: Error) => void }

/** Time without a read after which the thread ends: it holds about ten MiB, and another one starts within a tenth of a second */
const IDLE_MS = 5_000

/**
 * Reads in a thread of its own, so that a long search never holds up a lease. The thread starts with the first
 * read and ends when there were none for a while. It is replaced when it dies, and when a read passes its
 * deadline: a statement cannot be stopped otherwise.
 */
export function createReadWorker(path: string, options: { deadlineMs: number; idleMs?: number }): ReadWorker {
  const { idleMs = IDLE_MS } = options
  const pending = new Map<number, Pending>()
  let worker: Worker | undefined
  let idle: NodeJS.Timeout | undefined
  let nextId = 1
  let isClosed = false

  function start(): Worker {
    const started = new Worker(workerUrl(), {
      workerData: { path },
      // As `bin/start.cjs` does for the main thread: Node 22 calls its SQLite experimental.
      execArgv: ['--disable-warning=ExperimentalWarning'],
    })
    started.unref()
    started.on('message', (reply: ReadReply) => settle(reply))
    started.on('error', (error) => drop(started, `the reading thread failed: ${error.message}`))
    started.on('exit', (code) => drop(started, `the reading thread ended with code ${code}`))
    return started
  }

  function settle(reply: ReadReply): void {
    const waiting = pending.get(reply.id)
    if (waiting === undefined) return
    pending.delete(reply.id)
    if (pending.size === 0) rest()
    if ('rows' in reply) waiting.resolve([...reply.rows])
    else waiting.reject(Object.assign(new Error(reply.message), { errcode: reply.errcode }))
  }

  function rest(): void {
    const resting = worker
    if (resting === undefined) return
    resting.unref()
    clearTimeout(idle)
    idle = setTimeout(() => drop(resting, 'nothing was read for a while'), idleMs).unref()
  }

  function drop(failed: Worker, why: string): void {
    if (worker !== failed) return
    worker = undefined
    clearTimeout(idle)
    for (const waiting of pending.values()) waiting.reject(new StoreError('unavailable', why))
    pending.clear()
    // Its end is awaited by nobody: it has nothing of ours any more.
    void failed.terminate()
  }

  return {
    async execute(sql, parameters) {
      if (isClosed) throw new StoreError('unavailable', `the store ${path} is closed`)
      clearTimeout(idle)
      worker ??= start()
      const asked = worker
      const id = nextId++
      const { promise, resolve, reject } = Promise.withResolvers<unknown[]>()
      pending.set(id, { resolve, reject })
      asked.ref()
      const timer = setTimeout(
        () => drop(asked, `a read took longer than ${options.deadlineMs} ms: ask for less`),
        options.deadlineMs,
      )
      try {
        asked.postMessage({ id, sql, parameters } satisfies ReadRequest)
        return { rows: await promise }
      } finally {
        clearTimeout(timer)
      }
    },
    async close() {
      isClosed = true
      const ended = worker
      if (ended === undefined) return
      drop(ended, `the store ${path} is closed`)
      await ended.terminate()
    },
  }
}

/** The worker's file beside this one: `.ts` from the source tree, `.js` from the built package. */
function workerUrl(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? './read-worker.ts' : './read-worker.js', import.meta.url)
}
