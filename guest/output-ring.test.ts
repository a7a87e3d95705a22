import fc from 'fast-check'
import { expect, test } from 'vitest'
import { OutputRing } from './output-ring.ts'

test('the ring holds the newest bytes at their absolute offsets, whatever is appended', () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 9000 }), { maxLength: 60 })
  fc.assert(
    fc.property(sizes, fc.integer({ min: 4096, max: 20_000 }), (lengths, bytesMax) => {
      const ring = new OutputRing(bytesMax)
      let all = Buffer.alloc(0)
      for (const [index, length] of lengths.entries()) {
        const data = Buffer.alloc(length, index)
        ring.append(data)
        all = Buffer.concat([all, data])
      }
      expect(ring.end).toBe(all.length)
      expect(ring.end - ring.start).toBeGreaterThanOrEqual(Math.min(all.length, bytesMax / 2))
      const read: Buffer[] = []
      for (let at = ring.start; at < ring.end; ) {
        const part = ring.read(at, 1000)
        expect(part.length).toBeGreaterThan(0)
        read.push(Buffer.from(part))
        at += part.length
      }
      expect(Buffer.concat(read).equals(all.subarray(ring.start))).toBe(true)
      expect(ring.read(ring.end, 10).length).toBe(0)
    }),
  )
})

test('memory does not grow with what is printed', () => {
  const ring = new OutputRing(1024 * 1024)
  const chunk = Buffer.alloc(64 * 1024, 1)
  const before = process.memoryUsage().arrayBuffers
  for (let i = 0; i < 4000; i++) ring.append(chunk)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024)
  expect(ring.end).toBe(4000 * chunk.length)
})
