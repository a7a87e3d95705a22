import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DURATION_MS_MAX, formatDuration, parseDuration } from './duration.ts'

test.each([
  ['0s', 0],
  ['250ms', 250],
  ['30s', 30_000],
  ['10m', 600_000],
  ['2h', 7_200_000],
  ['1d', 86_400_000],
  ['1h30m', 5_400_000],
  ['1d2h3m4s5ms', 93_784_005],
  ['365d', DURATION_MS_MAX],
])('%s is %i ms', (text, durationMs) => {
  expect(parseDuration(text)).toBe(durationMs)
})

test.each([
  '',
  ' ',
  '5',
  '-5s',
  '5 s',
  '1.5h',
  '5S',
  '5sec',
  'm',
  '30s1h',
  '366d',
  '9999999999s',
  '1h 30m',
  '５s',
])('"%s" is no duration', (text) => {
  expect(parseDuration(text)).toBeUndefined()
})

test('what is written as a duration reads back as the same', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: DURATION_MS_MAX }), (durationMs) => {
      expect(parseDuration(formatDuration(durationMs))).toBe(durationMs)
    }),
  )
})

test('any text is either a duration within the bounds or none', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9dhms]{0,12}$/)), (text) => {
      const durationMs = parseDuration(text)
      if (durationMs === undefined) return
      expect(durationMs).toBeGreaterThanOrEqual(0)
      expect(durationMs).toBeLessThanOrEqual(DURATION_MS_MAX)
    }),
  )
})
