import { expect, test } from 'vitest'
import { decideTicket } from './fail-run.ts'

const policy = { attemptCountMax: 3, backoffMs: 1_000, backoffMaxMs: 10_000, on: [] }
const facts = { reason: 'agent_failed', runCount: 1, isFinal: false, policy, now: 100, random: 0 } as const

test('U9: a retry never starts before its time: each delay is at least the policy’s and grows', () => {
  expect(decideTicket(facts)).toEqual({ kind: 'requeue', notBefore: 1_100 })
  expect(decideTicket({ ...facts, runCount: 2 })).toEqual({ kind: 'requeue', notBefore: 2_100 })
  expect(decideTicket({ ...facts, random: 0.99 })).toMatchObject({ kind: 'requeue' })
})

test('runs that are used up make a dead letter; what cannot be helped fails at once', () => {
  expect(decideTicket({ ...facts, runCount: 3 })).toEqual({ kind: 'dead' })
  expect(decideTicket({ ...facts, isFinal: true })).toEqual({ kind: 'fail' })
  expect(decideTicket({ ...facts, reason: 'budget' })).toEqual({ kind: 'fail' })
  expect(decideTicket({ ...facts, reason: 'input_invalid', runCount: 3 })).toEqual({ kind: 'fail' })
})
