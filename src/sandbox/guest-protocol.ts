/**
 * The wire between the host and the guest program: length-prefixed frames over any duplex byte stream.
 *
 *   u32 length of the rest | u8 kind | u32 id | payload
 *
 * A connection begins with `hello` (host) and `welcome` or `refused` (guest). After that the host sends
 * `request`s, each answered by one `reply` with the same id. `attach`, `get`, `put` and tunnels are streams:
 * `data`, `output`, `event`, `credit`, `end` and `cancel` frames carry the id of the request that opened them.
 * Ids of streams opened by the guest (tunnels) have the highest bit set.
 *
 * Pure: no clock, no sockets. Both sides treat the other as hostile: every length is bounded, every object is
 * parsed strictly (guest-protocol-messages.ts), and what does not parse ends the connection.
 */
export const PROTOCOL_VERSIONS = [1] as const

/** Longest payload of a frame, bytes */
export const PAYLOAD_BYTES_MAX = 1024 * 1024
/** Longest payload of the first frame of an unauthenticated peer, bytes */
export const HELLO_BYTES_MAX = 4096
/** Bytes in one `data` or `output` frame */
export const CHUNK_BYTES = 64 * 1024
/** Bytes that a sender may be ahead of its reader, per stream and direction */
export const STREAM_WINDOW_BYTES = 256 * 1024
/** Bytes of output that may be under way to an attached reader */
export const OUTPUT_WINDOW_BYTES = 1024 * 1024
/** Requests and streams open at a time on one connection */
export const OPEN_COUNT_MAX = 256

const HEADER_BYTES = 9
const LENGTH_BYTES = 4

export const FRAME_KINDS = [
  'hello',
  'welcome',
  'refused',
  'request',
  'reply',
  'data',
  'end',
  'credit',
  'output',
  'event',
  'cancel',
  'open',
] as const
export type FrameKind = (typeof FRAME_KINDS)[number]

export type Frame = { readonly kind: FrameKind; readonly id: number; readonly payload: Buffer }

/** The peer sent what is not this protocol: the connection is closed, nothing else happens. */
export class ProtocolError extends Error {
  readonly code = 'protocol_error'
  constructor(message: string) {
    super(message)
    this.name = 'ProtocolError'
  }
}

/** A frame as bytes. The payload must fit (a mistake otherwise). */
export function encodeFrame(kind: FrameKind, id: number, ...parts: readonly Buffer[]): Buffer {
  const payloadBytes = parts.reduce((sum, part) => sum + part.length, 0)
  if (payloadBytes > PAYLOAD_BYTES_MAX) throw new ProtocolError(`payload of ${payloadBytes} bytes`)
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payloadBytes)
  frame.writeUInt32BE(HEADER_BYTES - LENGTH_BYTES + payloadBytes, 0)
  frame.writeUInt8(FRAME_KINDS.indexOf(kind) + 1, 4)
  frame.writeUInt32BE(id, 5)
  let at = HEADER_BYTES
  for (const part of parts) at += part.copy(frame, at)
  return frame
}

export function encodeJsonFrame(kind: FrameKind, id: number, value: unknown): Buffer {
  return encodeFrame(kind, id, Buffer.from(JSON.stringify(value)))
}

/** A request: its JSON, then bytes that go with it (standard input). */
export function encodeRequest(id: number, value: unknown, body: Buffer = Buffer.alloc(0)): Buffer {
  const json = Buffer.from(JSON.stringify(value))
  return encodeFrame('request', id, u32(json.length), json, body)
}

export function decodeRequest(payload: Buffer): { readonly value: unknown; readonly body: Buffer } {
  const jsonBytes = payload.length < 4 ? -1 : payload.readUInt32BE(0)
  if (jsonBytes < 0 || jsonBytes > payload.length - 4) throw new ProtocolError('request is cut off')
  return { value: parseJson(payload.subarray(4, 4 + jsonBytes)), body: payload.subarray(4 + jsonBytes) }
}

const OUTPUT_HEADER_BYTES = 9
export type OutputStream = 'stdout' | 'stderr'

/** Output of an exec: which stream, the absolute offset of its first byte, the bytes. */
export function encodeOutput(id: number, stream: OutputStream, offset: number, data: Buffer): Buffer {
  const header = Buffer.allocUnsafe(OUTPUT_HEADER_BYTES)
  header.writeUInt8(stream === 'stdout' ? 1 : 2, 0)
  header.writeBigUInt64BE(BigInt(offset), 1)
  return encodeFrame('output', id, header, data)
}

export function decodeOutput(payload: Buffer): { stream: OutputStream; offset: number; data: Buffer } {
  if (payload.length < OUTPUT_HEADER_BYTES) throw new ProtocolError('output is cut off')
  const stream = payload.readUInt8(0)
  const offset = payload.readBigUInt64BE(1)
  if ((stream !== 1 && stream !== 2) || offset > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new ProtocolError('output names no stream or no offset')
  }
  return {
    stream: stream === 1 ? 'stdout' : 'stderr',
    offset: Number(offset),
    data: payload.subarray(OUTPUT_HEADER_BYTES),
  }
}

/** More bytes that the peer may send on a stream. */
export function encodeCredit(id: number, bytes: number): Buffer {
  return encodeFrame('credit', id, u32(bytes))
}

export function decodeCredit(payload: Buffer): number {
  if (payload.length !== 4) throw new ProtocolError('credit is not a number')
  return payload.readUInt32BE(0)
}

export function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    throw new ProtocolError('payload is not JSON')
  }
}

/**
 * Cuts a byte stream into frames. Holds at most one frame and the chunk that is being read.
 * After it threw, the connection is to be closed: the position in the stream is unknown.
 */
export class FrameDecoder {
  #chunks: Buffer[] = []
  #bytes = 0
  #payloadBytesMax: number

  constructor(payloadBytesMax: number = PAYLOAD_BYTES_MAX) {
    this.#payloadBytesMax = payloadBytesMax
  }

  /** Widens or narrows the bound for the frames that follow. */
  limitPayload(bytesMax: number): void {
    this.#payloadBytesMax = bytesMax
  }

  /** Whether the stream stands at the border of two frames. */
  get isEmpty(): boolean {
    return this.#bytes === 0
  }

  /** The frames that are complete with this chunk. @throws ProtocolError */
  *push(chunk: Buffer): Generator<Frame, void> {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    for (;;) {
      if (this.#bytes < LENGTH_BYTES) return
      const rest = this.#peek(LENGTH_BYTES).readUInt32BE(0)
      if (rest < HEADER_BYTES - LENGTH_BYTES) throw new ProtocolError(`frame of ${rest} bytes`)
      if (rest - (HEADER_BYTES - LENGTH_BYTES) > this.#payloadBytesMax) {
        throw new ProtocolError(`frame of ${rest} bytes is too long`)
      }
      if (this.#bytes < LENGTH_BYTES + rest) return
      yield toFrame(this.#take(LENGTH_BYTES + rest))
    }
  }

  #peek(bytes: number): Buffer {
    const first = this.#chunks[0]
    if (first !== undefined && first.length >= bytes) return first
    return this.#flatten()
  }

  #take(bytes: number): Buffer {
    const first = this.#chunks[0]
    const whole = first !== undefined && first.length >= bytes ? first : this.#flatten()
    const rest = whole.subarray(bytes)
    if (rest.length === 0) this.#chunks.shift()
    else this.#chunks[0] = rest
    this.#bytes -= bytes
    return whole.subarray(0, bytes)
  }

  #flatten(): Buffer {
    const whole = Buffer.concat(this.#chunks)
    this.#chunks = [whole]
    return whole
  }
}

function toFrame(bytes: Buffer): Frame {
  const kind = FRAME_KINDS[bytes.readUInt8(4) - 1]
  if (kind === undefined) throw new ProtocolError(`frame of unknown kind ${bytes.readUInt8(4)}`)
  return { kind, id: bytes.readUInt32BE(5), payload: bytes.subarray(HEADER_BYTES) }
}

function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value, 0)
  return bytes
}
