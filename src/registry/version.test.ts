import { expect, test } from 'vitest'
import { compareVersions, findNewest } from './version.ts'

test('versions are ordered by value, a pre-release before its release', () => {
  const sorted = [
    '0.9',
    '1',
    '1.0.1-alpha',
    '1.0.1-alpha.2',
    '1.0.1-beta',
    '1.0.1',
    '1.2.0',
    '1.10.0',
    '2',
    '10',
  ]
  expect([...sorted].reverse().sort(compareVersions)).toEqual(sorted)
  expect(compareVersions('1', '1.0.0')).toBe(0)
  expect(compareVersions('1.0.0+abc', '1.0.0')).toBe(0)
})

test('of equal versions the one recorded last is the newest', () => {
  const records = [
    { version: '1.0.0+aa', createdAt: 2 },
    { version: '1.0.0', createdAt: 1 },
    { version: '0.9.0', createdAt: 3 },
  ]
  expect(findNewest(records)?.version).toBe('1.0.0+aa')
  expect(findNewest([])).toBeUndefined()
})
