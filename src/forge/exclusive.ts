const tails = new Map<string, Promise<unknown>>()

/**
 * Runs the work alone among all that name the same key in this process, in order of arrival. One coordinator owns
 * a state directory, so this is enough for a mirror. An aborted signal leaves the queue without running the work.
 */
export async function exclusively<T>(key: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const before = tails.get(key) ?? Promise.resolve()
  const { promise: done, resolve: finish } = Promise.withResolvers<void>()
  const tail = before.then(() => done)
  tails.set(key, tail)
  try {
    await raceAbort(before, signal)
    return await work()
  } finally {
    finish()
    if (tails.get(key) === tail) tails.delete(key)
  }
}

async function raceAbort(waited: Promise<unknown>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await Promise.race([waited, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
