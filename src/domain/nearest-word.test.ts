import { expect, test } from 'vitest'
import { findNearest, suggest } from './nearest-word.ts'

const KEYS = ['needs', 'retry', 'for-each', 'on-failure', 'kind']

test.each([
  ['need', 'needs'],
  ['knid', 'kind'],
  ['forEach', 'for-each'],
  ['for_each', 'for-each'],
  ['onFailure', 'on-failure'],
  ['retyr', 'retry'],
])('%s was meant as %s', (typed, meant) => {
  expect(findNearest(typed, KEYS)).toBe(meant)
  expect(suggest(typed, KEYS)).toBe(`did you mean "${meant}"?`)
})

test('a word that is close to none is answered with the list', () => {
  expect(findNearest('environment', KEYS)).toBeUndefined()
  expect(suggest('environment', KEYS)).toBe('known: needs, retry, for-each, on-failure, kind')
  expect(suggest('environment', [])).toBeUndefined()
})

test('a very long word is not compared', () => {
  expect(findNearest('needs'.repeat(20_000), KEYS)).toBeUndefined()
})
