import { Duplex } from 'node:stream'
import {
  CHUNK_BYTES,
  decodeCredit,
  encodeCredit,
  encodeFrame,
  encodeJsonFrame,
  type Frame,
  ProtocolError,
  parseJson,
  STREAM_WINDOW_BYTES,
} from './guest-protocol.ts'
import { type GuestErrorObject, parseEnd } from './guest-protocol-messages.ts'

/** The other side ended the stream with an error: what was read so far is incomplete. */
export class StreamEndedError extends Error {
  readonly code: GuestErrorObject['code']
  constructor(error: GuestErrorObject) {
    super(error.message)
    this.name = 'StreamEndedError'
    this.code = error.code
  }
}

/**
 * A byte stream inside a connection, the same on both sides. Each side may be one window ahead of the other's
 * reader; reading gives credit back. So neither side ever holds more than a window per stream.
 */
export class ProtocolStream extends Duplex {
  readonly id: number
  readonly #send: (frame: Buffer) => void
  readonly #onClosed: () => void
  #sendCredit = STREAM_WINDOW_BYTES
  #receiveCredit = STREAM_WINDOW_BYTES
  #pending: { data: Buffer; done: (error?: Error | null) => void } | undefined
  readonly #incoming: Buffer[] = []
  #wantsMore = false
  #hasReceivedEnd = false
  #hasPushedEnd = false
  #hasSentEnd = false

  constructor(id: number, send: (frame: Buffer) => void, onClosed: () => void) {
    super({ allowHalfOpen: true, highWaterMark: CHUNK_BYTES })
    this.id = id
    this.#send = send
    this.#onClosed = onClosed
  }

  /** Takes a frame with this stream's id. @throws ProtocolError when the peer breaks the rules */
  receive(frame: Frame): void {
    if (frame.kind === 'data') this.#receiveData(frame.payload)
    else if (frame.kind === 'credit') this.#receiveCreditFrame(decodeCredit(frame.payload))
    else if (frame.kind === 'end') this.#receiveEnd(parseEnd(parseJson(frame.payload), 'end').error)
    else if (frame.kind === 'cancel') this.#receiveCancel()
    else throw new ProtocolError(`${frame.kind} frame on a stream`)
  }

  /** Ends this side with an error: the other side sees an incomplete stream. */
  fail(error: GuestErrorObject): void {
    if (!this.#hasSentEnd) this.#send(encodeJsonFrame('end', this.id, { error }))
    this.#hasSentEnd = true
    this.destroy()
  }

  override _read(): void {
    this.#wantsMore = true
    this.#deliver()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#pending = { data: chunk, done }
    this.#flush()
  }

  override _final(done: (error?: Error | null) => void): void {
    if (!this.#hasSentEnd) this.#send(encodeJsonFrame('end', this.id, {}))
    this.#hasSentEnd = true
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#hasSentEnd || !this.#hasReceivedEnd) {
      this.#hasSentEnd = true
      this.#send(encodeFrame('cancel', this.id))
    }
    const pending = this.#pending
    this.#pending = undefined
    pending?.done(error ?? new Error('stream was closed'))
    this.#onClosed()
    done(error)
  }

  #receiveData(data: Buffer): void {
    if (this.#hasReceivedEnd) throw new ProtocolError('data after the end of a stream')
    this.#receiveCredit -= data.length
    if (this.#receiveCredit < 0) throw new ProtocolError('more data than the window allows')
    if (data.length === 0 || this.destroyed) return
    this.#incoming.push(data)
    this.#deliver()
  }

  /** Hands received bytes to the reader; only what it takes gives credit back. */
  #deliver(): void {
    while (this.#wantsMore && !this.destroyed) {
      const data = this.#incoming.shift()
      if (data === undefined) break
      this.#receiveCredit += data.length
      if (!this.#hasReceivedEnd) this.#send(encodeCredit(this.id, data.length))
      this.#wantsMore = this.push(data)
    }
    if (this.#hasReceivedEnd && this.#incoming.length === 0 && !this.#hasPushedEnd) {
      this.#hasPushedEnd = true
      this.push(null)
    }
  }

  #receiveCancel(): void {
    this.#hasSentEnd = true
    this.#hasReceivedEnd = true
    this.destroy()
  }

  #receiveCreditFrame(bytes: number): void {
    this.#sendCredit += bytes
    if (this.#sendCredit > STREAM_WINDOW_BYTES) throw new ProtocolError('more credit than the window allows')
    this.#flush()
  }

  #receiveEnd(error: GuestErrorObject | undefined): void {
    if (this.#hasReceivedEnd) throw new ProtocolError('a stream ended twice')
    this.#hasReceivedEnd = true
    if (error !== undefined) this.destroy(new StreamEndedError(error))
    else this.#deliver()
  }

  #flush(): void {
    const pending = this.#pending
    if (pending === undefined) return
    while (pending.data.length > 0 && this.#sendCredit > 0) {
      const part = pending.data.subarray(0, Math.min(CHUNK_BYTES, this.#sendCredit))
      this.#sendCredit -= part.length
      this.#send(encodeFrame('data', this.id, part))
      pending.data = pending.data.subarray(part.length)
    }
    if (pending.data.length > 0) return
    this.#pending = undefined
    pending.done()
  }
}
