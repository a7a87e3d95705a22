import { expect, test } from 'vitest'
import { ApiError, ConnectionError } from './api-error.ts'
import { keepLease } from './keep-lease.ts'

const LEASE_TTL_MS = 90
const kept = { isCancelRequested: false }
const problem = (status: number, code: string, retryAfterMs?: number) =>
  new ApiError({ type: 'about:blank', title: code, status, detail: code, code }, retryAfterMs)

/** Keeps a lease whose heartbeats are answered by `beat`, until it ends; gives the reason and the beats. */
async function keep(beat: (count: number) => Promise<{ isCancelRequested: boolean }>) {
  let count = 0
  const stop = new AbortController()
  const { promise, resolve } = Promise.withResolvers<Error>()
  const input = { leaseTtlMs: LEASE_TTL_MS, claimedAt: performance.now(), signal: stop.signal }
  const keeping = keepLease({ ...input, beat: () => beat(++count), onEnd: resolve })
  const reason = await promise
  await keeping
  return { reason, count }
}

test('a lease is renewed until the server says that it has passed on', async () => {
  const { reason, count } = await keep(async (at) => {
    if (at < 4) return kept
    throw problem(409, 'lease_lost')
  })
  expect(reason).toMatchObject({ code: 'lease_lost' })
  expect(count).toBe(4)
})

test('somebody’s request for the end ends the work', async () => {
  const { reason, count } = await keep(async () => ({ isCancelRequested: true }))
  expect([reason.message, count]).toEqual(['somebody asked for the end', 1])
})

test('a heartbeat that fails on the way is sent again; without one for a whole lease the work ends', async () => {
  const failing = async (): Promise<never> => {
    throw new ConnectionError('unreachable', 'nobody there')
  }
  const { reason, count } = await keep((at) => (at === 1 ? Promise.resolve(kept) : failing()))
  expect(reason.message).toBe(`no heartbeat got through for ${LEASE_TTL_MS} ms`)
  expect(reason.cause).toMatchObject({ code: 'unreachable' })
  expect(count).toBeGreaterThan(1)
})

test('a server that asks to wait for longer than the lease lasts does not keep the work going', async () => {
  const { reason, count } = await keep(async () => {
    throw problem(429, 'overloaded', 86_400_000)
  })
  expect(reason.message).toBe(`no heartbeat got through for ${LEASE_TTL_MS} ms`)
  expect(count).toBe(1)
})

test('a heartbeat that gets no answer is not waited for beyond the lease', async () => {
  const { promise: reason, resolve: onEnd } = Promise.withResolvers<Error>()
  const beat = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
  // Waited for a third of the lease it would outlast this test.
  const input = { leaseTtlMs: 60_000, claimedAt: performance.now() - 59_900 }
  await keepLease({ ...input, signal: new AbortController().signal, beat, onEnd })
  expect((await reason).message).toBe('no heartbeat got through for 60000 ms')
})

test('U18: keeping ends with its signal, also in the middle of a heartbeat', async () => {
  const stop = new AbortController()
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
  const beat = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      begin()
    })
  const onEnd = (reason: Error) => expect.unreachable(reason.message)
  const input = { leaseTtlMs: 60_000, claimedAt: performance.now() - 60_000, signal: stop.signal }
  const keeping = keepLease({ ...input, beat, onEnd })
  await begun
  stop.abort()
  await keeping
})
