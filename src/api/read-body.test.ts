import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isDeeperThan } from './read-body.ts'

function depthOf(value: unknown): number {
  if (value === null || typeof value !== 'object') return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}

test('depth is counted as the parser would nest, whatever strings hold', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), fc.integer({ min: 0, max: 7 }), (value, depthMax) => {
      expect(isDeeperThan(JSON.stringify(value), depthMax)).toBe(depthOf(value) > depthMax)
    }),
  )
})

test('brackets in strings and escaped quotes do not count; torn text is harmless', () => {
  expect(isDeeperThan('{"a":"[[[[\\"[["}', 1)).toBe(false)
  expect(isDeeperThan('"[[[[', 1)).toBe(false)
  expect(isDeeperThan('[[', 1)).toBe(true)
})
