/**
 * A body made of pieces as they come. Nothing is read ahead of the one who takes them: a slow reader holds one
 * piece, not the log. Hanging up aborts the source.
 * @param source is given a signal that aborts with `ended` or when the other end hangs up
 */
export function toByteStream(
  source: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
  ended: AbortSignal,
): ReadableStream<Uint8Array> {
  const hungUp = new AbortController()
  const signal = AbortSignal.any([hungUp.signal, ended])
  const pieces = source(signal)[Symbol.asyncIterator]()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await pieces.next()
          if (done === true) controller.close()
          else controller.enqueue(value)
        } catch (error) {
          // After an abort whatever the source throws is its way of ending.
          if (signal.aborted) controller.close()
          else controller.error(error)
        }
      },
      async cancel() {
        hungUp.abort()
        await pieces.return?.()
      },
    },
    { highWaterMark: 0 },
  )
}

/** The pieces, with `undefined` wherever nothing came for `silenceMs`. */
export async function* withSilences<T>(
  pieces: AsyncIterable<T>,
  silenceMs: number,
): AsyncIterable<T | undefined> {
  const iterator = pieces[Symbol.asyncIterator]()
  let next = iterator.next()
  try {
    for (;;) {
      const result = await orSilence(next, silenceMs)
      if (result === undefined) {
        yield undefined
        continue
      }
      if (result.done === true) return
      yield result.value
      next = iterator.next()
    }
  } finally {
    // The source ends by its signal; waiting for it here would wait for its next piece.
    next.catch(() => undefined)
    void iterator.return?.()
  }
}

async function orSilence<T>(next: Promise<T>, silenceMs: number): Promise<T | undefined> {
  const { promise: silence, resolve } = Promise.withResolvers<undefined>()
  const timer = setTimeout(() => resolve(undefined), silenceMs)
  try {
    return await Promise.race([next, silence])
  } finally {
    clearTimeout(timer)
  }
}
