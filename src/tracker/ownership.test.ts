import { describe, expect, test } from 'vitest'
import { listStatuses } from '../domain/status.ts'
import { judgeTake, judgeWriteBack, toStatus } from './ownership.ts'

const WORDS = {
  pending: ['open', 'reopened'],
  running: ['in work'],
  waiting: ['on hold'],
  review: ['in work'],
  done: ['closed'],
  failed: ['broken'],
}
const MARK = 'swarm:1'

describe('taking', () => {
  test.each([
    // word, mark that stands there, word that we recorded, whose it is
    ['open', null, null, 'free'],
    ['open', undefined, null, 'free'],
    ['reopened', 'bob', null, 'free'],
    ['in work', MARK, null, 'ours'],
    ['in work', MARK, 'in work', 'ours'],
    ['in work', null, null, 'lost'],
    ['in work', 'bob', 'in work', 'lost'],
    ['in work', undefined, null, 'lost'],
    ['in work', undefined, 'in work', 'ours'],
    ['in work', undefined, 'broken', 'lost'],
    ['on hold', MARK, null, 'free'],
    ['on hold', 'bob', null, 'lost'],
    ['broken', MARK, 'broken', 'free'],
    ['broken', null, 'broken', 'free'],
    ['broken', 'bob', 'broken', 'lost'],
    ['broken', MARK, null, 'lost'],
    ['closed', MARK, 'in work', 'lost'],
    ['archived', null, null, 'lost'],
  ] as const)('“%s” marked %s, recorded as %s: %s', (word, by, lastWord, expected) => {
    expect(judgeTake({ word, by }, { externalId: '1', mark: MARK, lastWord }, WORDS)).toBe(expected)
  })
})

describe('writing back', () => {
  const judge = (
    word: string,
    by: string | null | undefined,
    lastWord: string | null,
    status: 'done' | 'pending',
  ) =>
    judgeWriteBack(
      { word, by },
      {
        externalId: '1',
        mark: MARK,
        lastWord,
        status,
        outputs: null,
        error: null,
        branch: null,
        pullRequest: null,
        at: 0,
      },
      WORDS,
    )

  test.each([
    ['in work', MARK, 'in work', 'done', 'ours'],
    ['in work', MARK, null, 'done', 'ours'],
    ['in work', null, 'in work', 'done', 'ours'],
    ['in work', 'bob', 'in work', 'done', 'lost'],
    ['in work', undefined, 'in work', 'done', 'ours'],
    ['in work', undefined, null, 'done', 'lost'],
    ['on hold', MARK, 'in work', 'done', 'ours'],
    ['closed', MARK, 'in work', 'done', 'ended'],
    ['closed', undefined, 'in work', 'done', 'ended'],
    ['closed', MARK, 'closed', 'done', 'ours'],
    ['closed', 'bob', 'in work', 'done', 'lost'],
    ['broken', MARK, 'in work', 'done', 'lost'],
    ['archived', MARK, 'in work', 'done', 'lost'],
    ['open', null, 'in work', 'pending', 'ours'],
    ['open', null, 'in work', 'done', 'lost'],
  ] as const)('“%s” marked %s, recorded as %s, to be %s: %s', (word, by, lastWord, status, expected) => {
    expect(judge(word, by, lastWord, status)).toBe(expected)
  })
})

test('a word means the first status that it serves, in the order of a life', () => {
  expect(toStatus('in work', WORDS)).toBe('running')
  expect(toStatus('reopened', WORDS)).toBe('pending')
  expect(toStatus('nothing', WORDS)).toBeNull()
  for (const status of listStatuses('ticket')) expect(toStatus('x', { [status]: ['x'] })).toBe(status)
})
