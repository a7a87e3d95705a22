import { expect, test } from 'vitest'
import type { Comment } from '../domain/records.ts'
import type { Run } from '../domain/run.ts'
import type { Attempt, StepInstance } from '../domain/step.ts'
import type { Ticket } from '../domain/ticket.ts'
import type { StoreReader } from '../store/contract.ts'
import { findEarlierWork } from './find-earlier-work.ts'

const HEAD = 'a'.repeat(40)
const LATER = 'b'.repeat(40)
const ticket = { id: 'tkt_1', pullRequestId: 'prq_1' } as Ticket

function toReader(last: Partial<Run>, status: 'open' | 'merged' | 'closed'): StoreReader {
  return {
    listRuns: async () => ({ items: [{ number: 1, parentStepInstanceId: null, ...last }], nextCursor: null }),
    findPullRequest: async () => ({ status, headCommit: HEAD }),
    listComments: async () => [{ author: 'ann', body: 'use spaces' } as Comment],
    listStepInstances: async () => [
      {
        key: 'verify',
        status: 'failed',
        reason: 'verification_failed',
        detail: 'test 3 failed',
      } as StepInstance,
    ],
    listAttempts: async () => [{ status: 'succeeded', resultCommit: LATER, finishedAt: 1 } as Attempt],
  } as unknown as StoreReader
}

test('a further run goes on with the open pull request and what people said about it', async () => {
  const read = toReader({ reason: null, detail: null }, 'open')
  expect(await findEarlierWork(read, ticket, 2)).toEqual({ commit: HEAD, feedback: 'ann:\nuse spaces' })
})

test('after work on an open pull request that did not pass, the next run knows both, and goes on with that work', async () => {
  const read = toReader({ reason: 'verification_failed', detail: 'the step verify failed' }, 'open')
  const { commit, feedback } = await findEarlierWork(read, ticket, 2)
  expect(commit).toBe(LATER)
  expect(feedback).toContain('use spaces')
  expect(feedback).toContain('test 3 failed')
})

test.each(['merged', 'closed'] as const)('a %s pull request is not gone on with', async (status) => {
  const read = toReader({ reason: null, detail: null }, status)
  expect(await findEarlierWork(read, ticket, 2)).toEqual({ commit: null, feedback: null })
})
