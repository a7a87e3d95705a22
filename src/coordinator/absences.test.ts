import { expect, test } from 'vitest'
import { Absences } from './absences.ts'

test('P18: a ticket that is missed once, or often within a moment, is not gone', () => {
  const absences = new Absences()
  expect(absences.note(['a'], 10, 0)).toEqual([])
  for (let i = 1; i < 10; i++) expect(absences.note(['a'], 10, i)).toEqual([])
  expect(absences.note(['a'], 10, 29_999)).toEqual([])
  expect(absences.note(['a'], 10, 30_000)).toEqual(['a'])
})

test('P18: two looks are not enough, however far apart', () => {
  const absences = new Absences()
  expect(absences.note(['a'], 10, 0)).toEqual([])
  expect(absences.note(['a'], 10, 3_600_000)).toEqual([])
  expect(absences.note(['a'], 10, 3_600_001)).toEqual(['a'])
})

test('P18: one that was there in between begins anew', () => {
  const absences = new Absences()
  absences.note(['a', 'b'], 10, 0)
  absences.note(['a', 'b'], 10, 20_000)
  absences.note(['b'], 10, 25_000)
  expect(absences.note(['a', 'b'], 10, 40_000)).toEqual(['b'])
  expect(absences.isEmpty).toBe(false)
  absences.note([], 10, 41_000)
  expect(absences.isEmpty).toBe(true)
})

test('P18: when most are missing at once nothing is concluded, and what was missed before counts no more', () => {
  const absences = new Absences()
  const many = ['a', 'b', 'c', 'd']
  absences.note(['a'], 6, 0)
  absences.note(['a'], 6, 20_000)
  expect(absences.note(many, 6, 40_000)).toBe('mass')
  expect(absences.note(many, 6, 80_000)).toBe('mass')
  expect(absences.note(['a'], 6, 90_000)).toEqual([])
})

test('a few may all be gone, and half of many', () => {
  const absences = new Absences()
  for (const at of [0, 20_000]) absences.note(['a', 'b', 'c'], 3, at)
  expect(absences.note(['a', 'b', 'c'], 3, 40_000)).toEqual(['a', 'b', 'c'])
  const half = new Absences()
  for (const at of [0, 20_000]) half.note(['a', 'b', 'c', 'd'], 8, at)
  expect(half.note(['a', 'b', 'c', 'd'], 8, 40_000)).toHaveLength(4)
})
