import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { redactFlow } from './flow.ts'

async function redact(secrets: readonly string[], pieces: readonly string[]): Promise<string> {
  return await text(Readable.from(pieces.map((piece) => Buffer.from(piece))).pipe(redactFlow(secrets)))
}

test('U15: a secret is replaced however the answer is cut into pieces', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ maxLength: 20 }),
      fc.string({ maxLength: 20 }),
      fc.array(fc.nat({ max: 60 }), { maxLength: 6 }),
      async (before, after, cuts) => {
        const secret = 'sk-aab-aab-7'
        const whole = Buffer.from(`${before}${secret}${after}${secret}`)
        const places = [
          0,
          ...cuts.map((cut) => Math.min(cut, whole.length)).sort((a, b) => a - b),
          whole.length,
        ]
        const pieces = places.slice(1).map((end, index) => whole.subarray(places[index], end))
        const out = await text(Readable.from(pieces).pipe(redactFlow([secret])))
        expect(out).toBe(whole.toString().replaceAll(secret, '[redacted]'))
      },
    ),
    { numRuns: 60 },
  )
})

test('what only begins like a secret comes through whole, and without secrets nothing changes', async () => {
  expect(await redact(['secret'], ['a sec', 'ond secre', 't and sec'])).toBe('a second [redacted] and sec')
  expect(await redact([], ['a', 'b'])).toBe('ab')
  expect(await redact([''], ['a', 'b'])).toBe('ab')
})
