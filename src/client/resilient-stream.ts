import { ConnectionError } from './api-error.ts'
import { isWorthAnotherTry, pause } from './insist.ts'

export type StreamSource<T> = {
  /** Opens where the last piece ended; called again after each break */
  open(signal: AbortSignal): Promise<AsyncIterable<T>>
  /** After an end that looked orderly: whether there is more to come */
  hasMore(signal: AbortSignal): Promise<boolean>
}

const RETRY_DELAY_MIN_MS = 250
const RETRY_DELAY_MAX_MS = 5_000

/**
 * Reads on over broken connections until the source says that there is no more, or the signal aborts (then it
 * ends without an error). Waits longer after each failure in a row, 5 s at most.
 * @throws ApiError when the server says no for good
 */
export async function* readResiliently<T>(source: StreamSource<T>, signal: AbortSignal): AsyncIterable<T> {
  let delayMs = RETRY_DELAY_MIN_MS
  while (!signal.aborted) {
    try {
      for await (const piece of await source.open(signal)) {
        delayMs = RETRY_DELAY_MIN_MS
        yield piece
        if (signal.aborted) return
      }
      if (!(await source.hasMore(signal))) return
    } catch (error) {
      if (signal.aborted) return
      if (!isWorthAnotherTry(error)) throw error
    }
    await pause(delayMs, signal)
    delayMs = Math.min(delayMs * 2, RETRY_DELAY_MAX_MS)
  }
}

/**
 * The chunks of a body; silence longer than `idleMs` is a broken connection. Leaving the loop cancels the body.
 * @param idleMs `Infinity`: silence says nothing
 */
export async function* readChunks(
  body: ReadableStream<Uint8Array> | null,
  idleMs: number,
): AsyncIterable<Uint8Array> {
  if (body === null) return
  const reader = body.getReader()
  try {
    for (;;) {
      const { done, value } = await withIdleLimit(reader.read(), idleMs)
      if (done) return
      yield value
    }
  } finally {
    // The connection may be gone already; there is nothing left to tell.
    await reader.cancel().catch(() => undefined)
  }
}

async function withIdleLimit<T>(reading: Promise<T>, idleMs: number): Promise<T> {
  if (idleMs === Number.POSITIVE_INFINITY) return await reading
  const { promise: silence, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => reject(new ConnectionError('timed_out', `no sign of life for ${idleMs} ms`)),
    idleMs,
  )
  try {
    return await Promise.race([reading, silence])
  } finally {
    clearTimeout(timer)
  }
}
