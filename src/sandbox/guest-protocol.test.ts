import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeCredit,
  decodeOutput,
  decodeRequest,
  encodeFrame,
  encodeOutput,
  encodeRequest,
  FRAME_KINDS,
  type Frame,
  FrameDecoder,
  PAYLOAD_BYTES_MAX,
  ProtocolError,
  parseJson,
} from './guest-protocol.ts'
import {
  parseEnd,
  parseEvent,
  parseExecStatus,
  parseGuestConfig,
  parseHello,
  parseReply,
  parseRequest,
  parseUsage,
  parseWelcome,
} from './guest-protocol-messages.ts'

const frameArbitrary = fc.record({
  kind: fc.constantFrom(...FRAME_KINDS),
  id: fc.integer({ min: 0, max: 0xffff_ffff }),
  payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
})

function decodeAll(decoder: FrameDecoder, bytes: Buffer, cuts: readonly number[]): Frame[] {
  const frames: Frame[] = []
  let at = 0
  for (const cut of [
    ...cuts.map((share) => Math.floor(share * bytes.length)).sort((a, b) => a - b),
    bytes.length,
  ]) {
    frames.push(...decoder.push(bytes.subarray(at, cut)))
    at = Math.max(at, cut)
  }
  return frames
}

describe('guest protocol', () => {
  test('frames survive the way, however the bytes are cut', () => {
    const cutsArbitrary = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 })
    fc.assert(
      fc.property(fc.array(frameArbitrary, { maxLength: 10 }), cutsArbitrary, (frames, cuts) => {
        const bytes = Buffer.concat(frames.map(({ kind, id, payload }) => encodeFrame(kind, id, payload)))
        const decoder = new FrameDecoder()
        expect(decodeAll(decoder, bytes, cuts)).toEqual(frames)
        expect(decoder.isEmpty).toBe(true)
      }),
    )
  })

  test('random bytes give frames or a protocol error, and never hold more than a frame', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
        const decoder = new FrameDecoder(1000)
        onlyProtocolErrors(() => decodeAll(decoder, Buffer.from(bytes), []))
      }),
      { numRuns: 500 },
    )
  })

  test('a flipped byte is noticed or gives another frame, and nothing else', () => {
    fc.assert(
      fc.property(
        frameArbitrary,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        ({ kind, id, payload }, at, flip) => {
          const bytes = encodeFrame(kind, id, payload)
          bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ flip
          onlyProtocolErrors(() => decodeAll(new FrameDecoder(), bytes, []))
        },
      ),
    )
  })

  test('a length beyond the bound is refused before anything is kept', () => {
    const header = Buffer.from([0xff, 0xff, 0xff, 0xff])
    expect(() => [...new FrameDecoder().push(header)]).toThrow(ProtocolError)
    expect(() => encodeFrame('data', 1, Buffer.alloc(PAYLOAD_BYTES_MAX + 1))).toThrow(ProtocolError)
    const small = new FrameDecoder(8)
    expect(() => [...small.push(encodeFrame('data', 1, Buffer.alloc(9)))]).toThrow(ProtocolError)
  })

  test('requests and output survive the way', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.uint8Array({ maxLength: 100 }), (value, body) => {
        const [frame] = [...new FrameDecoder().push(encodeRequest(7, value, Buffer.from(body)))]
        const decoded = decodeRequest((frame as Frame).payload)
        expect(decoded.value).toEqual(JSON.parse(JSON.stringify(value)))
        expect(decoded.body).toEqual(Buffer.from(body))
      }),
    )
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.uint8Array({ maxLength: 100 }), (offset, data) => {
        const [frame] = [...new FrameDecoder().push(encodeOutput(7, 'stderr', offset, Buffer.from(data)))]
        const expected = { stream: 'stderr', offset, data: Buffer.from(data) }
        expect(decodeOutput((frame as Frame).payload)).toEqual(expected)
      }),
    )
  })

  test('no parser throws anything but a protocol error, whatever it is given', () => {
    const parsers = [
      parseHello,
      parseWelcome,
      parseRequest,
      parseReply,
      parseEvent,
      parseEnd,
      parseExecStatus,
      parseUsage,
      parseGuestConfig,
    ]
    const words = fc.constantFrom(
      'op',
      'kind',
      'exec',
      'ok',
      'yes',
      'no',
      'exited',
      'execId',
      'argv',
      '__proto__',
    )
    const near = fc.dictionary(words, fc.oneof(words, fc.anything()))
    fc.assert(
      fc.property(fc.oneof(fc.anything(), near), fc.constantFrom(...parsers), (value, parse) => {
        onlyProtocolErrors(() => parse(value, 'value'))
      }),
      { numRuns: 2000 },
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const buffer = Buffer.from(bytes)
        for (const decode of [decodeOutput, decodeRequest, decodeCredit, parseJson])
          onlyProtocolErrors(() => decode(buffer))
      }),
    )
  })

  test('unknown fields, NUL bytes and wrong ids are refused', () => {
    const exec = { op: 'exec', execId: 'a', argv: ['true'], stdin: 'closed' }
    expect(parseRequest(exec, 'r')).toEqual(exec)
    for (const wrong of [
      { ...exec, shell: true },
      { ...exec, execId: '../a' },
      { ...exec, argv: ['a\0b'] },
      { ...exec, env: { 'A=B': 'c' } },
      { ...exec, cwd: 'relative' },
      { ...exec, timeoutMs: -1 },
      { ...exec, op: 'toString' },
    ]) {
      expect(() => parseRequest(wrong, 'r')).toThrow(ProtocolError)
    }
    const hostile = JSON.parse(
      '{"op":"exec","execId":"a","argv":["x"],"stdin":"closed","env":{"__proto__":"x"}}',
    )
    expect(Object.getPrototypeOf((parseRequest(hostile, 'r') as { env: object }).env)).toBeNull()
  })
})

function onlyProtocolErrors(action: () => unknown): void {
  try {
    action()
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
  }
}
