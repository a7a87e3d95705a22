import { pipeline } from 'node:stream/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  encodeCredit,
  encodeFrame,
  FrameDecoder,
  ProtocolError,
  STREAM_WINDOW_BYTES,
} from './guest-protocol.ts'
import { ProtocolStream, StreamEndedError } from './guest-protocol-stream.ts'

/** Two ends of one stream, joined by their frames; `sent` counts the bytes of data under way or delivered. */
function joinedStreams() {
  const count = { data: 0 }
  const ends: ProtocolStream[] = []
  const make = (other: number) =>
    new ProtocolStream(
      1,
      (bytes) => {
        for (const frame of new FrameDecoder().push(bytes)) {
          if (frame.kind === 'data') count.data += frame.payload.length
          setImmediate(() => ends[other]?.receive(frame))
        }
      },
      () => {},
    )
  ends.push(make(1), make(0))
  return { near: ends[0] as ProtocolStream, far: ends[1] as ProtocolStream, count }
}

test('bytes arrive whole and in order in both directions', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 100_000 }), { maxLength: 8 }),
      async (chunks) => {
        const { near, far } = joinedStreams()
        const sent = Buffer.concat(chunks)
        void pipeline(far, far).catch(() => {})
        for (const chunk of chunks) near.write(chunk)
        near.end()
        const received: Buffer[] = []
        for await (const chunk of near) received.push(chunk)
        expect(Buffer.concat(received).equals(sent)).toBe(true)
      },
    ),
    { numRuns: 20 },
  )
})

test('a sender is never more than a window ahead of its reader', async () => {
  const { near, far, count } = joinedStreams()
  near.write(Buffer.alloc(5 * STREAM_WINDOW_BYTES))
  await new Promise((resolve) => setTimeout(resolve, 20))
  // The reader's own buffer takes one more chunk before it asks its source to wait.
  expect(count.data).toBeLessThanOrEqual(2 * STREAM_WINDOW_BYTES)
  far.resume()
  near.end()
  await new Promise((resolve) => far.once('end', resolve))
  expect(count.data).toBe(5 * STREAM_WINDOW_BYTES)
})

test('a peer that ignores the window, gives too much credit or sends after the end breaks the protocol', () => {
  const frame = (bytes: Buffer) => [...new FrameDecoder().push(bytes)][0] as never
  const make = () =>
    new ProtocolStream(
      1,
      () => {},
      () => {},
    ).on('error', () => {})
  const flooded = make()
  expect(() => {
    for (let i = 0; i < 10; i++)
      flooded.receive(frame(encodeFrame('data', 1, Buffer.alloc(STREAM_WINDOW_BYTES / 2))))
  }).toThrow(ProtocolError)
  expect(() => make().receive(frame(encodeCredit(1, 1)))).toThrow(ProtocolError)
  const ended = make()
  ended.receive(frame(encodeFrame('end', 1, Buffer.from('{}'))))
  expect(() => ended.receive(frame(encodeFrame('data', 1, Buffer.from('x'))))).toThrow(ProtocolError)
})

test('an end with an error is an incomplete stream', async () => {
  const { near, far } = joinedStreams()
  near.on('error', () => {})
  near.write('half')
  near.fail({ code: 'disk_full', message: 'no space left' })
  const read = async () => {
    for await (const _ of far);
  }
  await expect(read()).rejects.toBeInstanceOf(StreamEndedError)
})
