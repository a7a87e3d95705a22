import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { TrackerError } from '../contract.ts'
import type { SqliteTableMapping } from './mapping.ts'
import type { TableCall, TableCalls, TableReply, TableRequest, TableWorkerData } from './table-protocol.ts'

export type TableWorker = {
  /** @throws TrackerError; the signal's reason when aborted, and nothing is written from then on */
  call<Call extends TableCall>(
    call: Call,
    input: TableCalls[Call]['input'],
    signal: AbortSignal,
  ): Promise<TableCalls[Call]['answer']>
  /** Ends the thread; what is still asked is refused. May be called twice. */
  close(): Promise<void>
}

type Job = {
  readonly request: TableRequest
  readonly resolve: (answer: TableCalls[TableCall]['answer']) => void
  readonly reject: (error: unknown) => void
}

/** A thread that was told that nobody waits has so long to notice, `ms`; then it is ended */
const GRACE_MS = 1_000
const HEAP_MIB = 512

/**
 * One thread per tracker, begun with the first call; one call after another. A call that is given up ends at once
 * for its caller. A thread that does not notice is ended, and the next call starts another one once it is gone:
 * a statement of SQLite cannot be interrupted from outside, and two of them would only make it worse.
 */
export function createTableWorker(
  mapping: SqliteTableMapping,
  options: { readonly callTimeoutMs: number; readonly busyTimeoutMs: number },
): TableWorker {
  const queue: Job[] = []
  let current: Job | undefined
  let worker: Worker | undefined
  let ending: Worker | undefined
  let isClosed = false

  function start(): Worker {
    const data: TableWorkerData = { mapping, busyTimeoutMs: options.busyTimeoutMs }
    const started = new Worker(workerUrl(), {
      workerData: data,
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB },
      // As `bin/start.cjs` does for the main thread: Node 22 calls its SQLite experimental.
      execArgv: ['--disable-warning=ExperimentalWarning'],
    })
    started.unref()
    started.on('message', (reply: TableReply) => finish(reply))
    started.on('error', (error) => lose(started, `its thread failed: ${error.message}`))
    started.on('exit', (code) => lose(started, `its thread ended with code ${code}`))
    return started
  }

  function pump(): void {
    if (current !== undefined || ending !== undefined) return
    current = queue.shift()
    if (current === undefined) return
    worker ??= start()
    worker.ref()
    worker.postMessage(current.request)
  }

  function finish(reply: TableReply): void {
    const job = current
    current = undefined
    worker?.unref()
    if (reply.kind === 'answer') job?.resolve(reply.answer)
    else if (reply.kind === 'mistake') job?.reject(new Error(reply.message))
    else
      job?.reject(
        new TrackerError(reply.code, `tracker ${mapping.name}: ${reply.message}`, { fix: reply.fix }),
      )
    pump()
  }

  function lose(lost: Worker, why: string): void {
    if (lost === ending) ending = undefined
    if (lost === worker) {
      worker = undefined
      current?.reject(unavailable(why))
      current = undefined
    }
    pump()
  }

  /** The thread goes on with a call that nobody waits for. */
  function end(stuck: Worker): void {
    if (worker !== stuck) return
    worker = undefined
    current = undefined
    ending = stuck
    stuck.unref()
    // Its exit is heard by `lose`.
    void stuck.terminate()
  }

  function giveUp(job: Job): void {
    Atomics.store(job.request.abandoned, 0, 1)
    Atomics.notify(job.request.abandoned, 0)
    const position = queue.indexOf(job)
    if (position >= 0) queue.splice(position, 1)
    const busy = worker
    if (job !== current || busy === undefined) return
    setTimeout(() => {
      if (job === current) end(busy)
    }, GRACE_MS).unref()
  }

  const unavailable = (why: string) =>
    new TrackerError('tracker_unavailable', `tracker ${mapping.name}: ${why}`)

  return {
    async call<Call extends TableCall>(call: Call, input: TableCalls[Call]['input'], signal: AbortSignal) {
      signal.throwIfAborted()
      if (isClosed) throw unavailable('it is closed')
      const abandoned = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
      const { promise, resolve, reject } = Promise.withResolvers<TableCalls[TableCall]['answer']>()
      const job: Job = { request: { call, input, abandoned }, resolve, reject }
      const fail = (error: unknown) => {
        giveUp(job)
        reject(error)
      }
      const abort = () => fail(signal.reason)
      signal.addEventListener('abort', abort, { once: true })
      const timer = setTimeout(
        () => fail(unavailable(`${mapping.path} did not answer within ${options.callTimeoutMs} ms`)),
        options.callTimeoutMs,
      )
      queue.push(job)
      pump()
      try {
        // The thread answers each call with the answer of its kind.
        return (await promise) as TableCalls[Call]['answer']
      } finally {
        clearTimeout(timer)
        signal.removeEventListener('abort', abort)
      }
    },
    async close() {
      isClosed = true
      const busy = current === undefined ? undefined : worker
      for (const job of [...queue, ...(current === undefined ? [] : [current])]) {
        giveUp(job)
        job.reject(unavailable('it is closed'))
      }
      // What it does is undone, and its file is closed, before it is ended.
      if (busy !== undefined) await Promise.race([once(busy, 'message'), delay(GRACE_MS)])
      const ended = worker
      worker = undefined
      current = undefined
      await Promise.race([ended?.terminate(), delay(GRACE_MS)])
    },
  }
}

/** The worker's file beside this one: `.ts` from the source tree, `.js` from the built package. */
function workerUrl(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? './table-worker.ts' : './table-worker.js', import.meta.url)
}
