import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { RunId } from '../domain/id.ts'
import { createLogger } from '../platform/log.ts'
import type { LeaseRenewal, Store } from '../store/contract.ts'
import { LeaseKeeper } from './lease-keeper.ts'

const RUN = 'run_1' as RunId
const LEASE_TTL_MS = 4_000
const DEADMAN_MS = 2_500

let now = 1_000_000
let answer: () => Promise<LeaseRenewal>
let asked = 0
const stopped: string[] = []
const deadmen: number[] = []

const store = {
  now: () => now,
  write: {
    renewLeases: () => {
      asked++
      return answer()
    },
  },
} as unknown as Store

let keeper: LeaseKeeper

beforeEach(() => {
  vi.useFakeTimers()
  now = 1_000_000
  asked = 0
  stopped.length = 0
  deadmen.length = 0
  answer = async () => ({ lost: [], cancelRequested: [] })
  keeper = new LeaseKeeper({
    store,
    engine: {
      renewDeadman: async (_runId, deadmanMs) => void deadmen.push(deadmanMs),
      forgetDeadman: () => {},
    },
    stopRun: (runId, mode) => void stopped.push(`${runId} ${mode}`),
    settings: { holder: 'me', leaseTtlMs: LEASE_TTL_MS, deadmanMs: DEADMAN_MS },
    logger: createLogger({ level: 'silent' }),
  })
  keeper.start()
})

afterEach(() => {
  keeper.stop()
  vi.useRealTimers()
})

async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 100) {
    now += 100
    await vi.advanceTimersByTimeAsync(100)
  }
}

test('work goes on through a renewal that fails, after however long an idle time', async () => {
  keeper.hold('run_0' as RunId, 1)
  await pass(1_000)
  keeper.release('run_0' as RunId)
  await pass(600_000)
  keeper.hold(RUN, 1)
  answer = () => Promise.reject(new Error('no room'))
  await pass(1_500)
  answer = async () => ({ lost: [], cancelRequested: [] })
  await pass(5_000)
  expect(stopped).toEqual([])
})

test('a run whose lease cannot be renewed is stopped before the lease passes', async () => {
  keeper.hold(RUN, 1)
  answer = () => Promise.reject(new Error('no room'))
  await pass(LEASE_TTL_MS - 500)
  expect(stopped).toContain(`${RUN} lease_lost`)
})

test('a renewal that never answers does not keep the run from being stopped', async () => {
  keeper.hold(RUN, 1)
  answer = () => new Promise(() => {})
  await pass(LEASE_TTL_MS)
  expect(asked).toBe(1)
  expect(stopped).toContain(`${RUN} lease_lost`)
})

test('the answer about an old claim is not taken for one about the present claim', async () => {
  keeper.hold(RUN, 1)
  const { promise, resolve } = Promise.withResolvers<LeaseRenewal>()
  answer = () => promise
  await pass(1_100)
  keeper.hold(RUN, 2)
  resolve({ lost: [RUN], cancelRequested: [] })
  await pass(100)
  expect(stopped).toEqual([])
  expect(keeper.heldRunCount).toBe(1)
})

test('P9: a dead-man deadline never lies behind the end of the lease it was renewed with', async () => {
  keeper.hold(RUN, 1)
  answer = async () => {
    now += 3_000
    return { lost: [], cancelRequested: [] }
  }
  await pass(1_100)
  expect(deadmen).toEqual([DEADMAN_MS, LEASE_TTL_MS - 3_000])
})

test('after the leases were prolonged for the next process, nothing is renewed for less', async () => {
  keeper.hold(RUN, 1)
  await keeper.handOff(600_000)
  expect(asked).toBe(1)
  await pass(10_000)
  expect(asked).toBe(1)
})

test('a lost lease and an asked cancelation reach the run wherever it stands', async () => {
  keeper.hold(RUN, 1)
  answer = async () => ({ lost: [], cancelRequested: [RUN] })
  await pass(1_100)
  answer = async () => ({ lost: [RUN], cancelRequested: [] })
  await pass(1_100)
  expect(stopped).toEqual([`${RUN} cancel`, `${RUN} lease_lost`])
})
