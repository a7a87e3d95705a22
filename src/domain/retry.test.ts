import fc from 'fast-check'
import { expect, test } from 'vitest'
import { classOf, REASONS, type Reason, retryRuleOf } from './reason.ts'
import { DEFAULT_RETRY, decideRetry, retryDelayMs } from './retry.ts'
import { decideTicketAfterFailure } from './run-failure.ts'

const policy = { ...DEFAULT_RETRY, attemptCountMax: 3, backoffMs: 100, backoffMaxMs: 1_000 }

test('a retry is never earlier than the policy says and grows with each attempt', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 60 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (attempt, random) => {
        const delay = retryDelayMs(policy, attempt, random)
        const least = Math.min(100 * 2 ** (attempt - 1), 1_000)
        expect(delay).toBeGreaterThanOrEqual(least)
        expect(delay).toBeLessThanOrEqual(Math.round(least * 1.2))
      },
    ),
  )
})

test('attempts end at the policy’s number', () => {
  const input = { policy, reason: 'agent_failed', now: 1_000, random: 0 } as const
  expect(decideRetry({ ...input, attempt: 1 })).toEqual({ kind: 'retry', notBefore: 1_100 })
  expect(decideRetry({ ...input, attempt: 2 })).toEqual({ kind: 'retry', notBefore: 1_200 })
  expect(decideRetry({ ...input, attempt: 3 })).toEqual({ kind: 'give-up' })
})

test('what a provider asks for wins when it is longer', () => {
  const decision = decideRetry({
    policy,
    reason: 'model_rate_limited',
    attempt: 1,
    now: 0,
    random: 0,
    retryAfterMs: 60_000,
  })
  expect(decision).toEqual({ kind: 'retry', notBefore: 60_000 })
})

test.each(Object.keys(REASONS) as Reason[])('%s is repeated by its class’s rule and no other', (reason) => {
  const rule = retryRuleOf(classOf(reason))
  const step = decideRetry({
    policy: { ...policy, on: [classOf(reason)] },
    reason,
    attempt: 1,
    now: 0,
    random: 0,
  })
  expect(step.kind).toBe(rule === 'step' ? 'retry' : 'give-up')
  const ticket = decideTicketAfterFailure({ reason, runCount: 1, runCountMax: 3, now: 0, delayMs: 5 })
  expect(ticket.kind).toBe({ step: 'dead', run: 'requeue', never: 'fail' }[rule])
})

test('a ticket whose work keeps failing its verification becomes a dead letter', () => {
  const input = { reason: 'verification_failed', runCountMax: 2, now: 10, delayMs: 5 } as const
  expect(decideTicketAfterFailure({ ...input, runCount: 1 })).toEqual({ kind: 'requeue', notBefore: 15 })
  expect(decideTicketAfterFailure({ ...input, runCount: 2 })).toEqual({ kind: 'dead' })
})

test('a class that the policy leaves out is not tried again', () => {
  const decision = decideRetry({
    policy: { ...policy, on: ['infrastructure'] },
    reason: 'agent_failed',
    attempt: 1,
    now: 0,
    random: 0,
  })
  expect(decision).toEqual({ kind: 'give-up' })
})
