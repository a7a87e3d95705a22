import fc from 'fast-check'
import { expect, test } from 'vitest'
import { logLineSchema } from '../../rest-schema/run.ts'
import { toLogLines } from './log-line.ts'

test('whatever bytes an attempt writes, the lines give them back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(1_000_000), (data, offset) => {
      const lines = [...toLogLines({ offset, at: 0, stream: 'stdout', data })]
      const parsed = lines.map((line) => logLineSchema.parse(JSON.parse(JSON.stringify(line))))
      expect(Buffer.concat(parsed.map(({ data: text, encoding }) => Buffer.from(text, encoding)))).toEqual(
        Buffer.from(data),
      )
    }),
  )
})

test('a large chunk becomes lines that follow each other without a gap', () => {
  const data = Buffer.from('é'.repeat(100_000))
  const lines = [...toLogLines({ offset: 7, at: 0, stream: 'stderr', data })]
  expect(lines.length).toBeGreaterThan(1)
  let next = 7
  for (const line of lines) {
    expect(line.offset).toBe(next)
    next += line.byteCount
  }
  expect(next).toBe(7 + data.byteLength)
})
