import {
  CHUNK_BYTES,
  encodeJsonFrame,
  encodeOutput,
  OUTPUT_WINDOW_BYTES,
  type OutputStream,
  ProtocolError,
} from '../src/sandbox/guest-protocol.ts'
import type { GuestEvent } from '../src/sandbox/guest-protocol-messages.ts'
import type { Exec, OutputReader } from './exec.ts'

const STREAMS = ['stdout', 'stderr'] as const

/** Sends the output of an exec to one attached reader, as far as its credit goes; then the exit; then the end. */
export class OutputFeed implements OutputReader {
  readonly cursor: { stdout: number; stderr: number }
  movedAt = Date.now()
  readonly #id: number
  readonly #exec: Exec
  readonly #send: (frame: Buffer) => void
  readonly #onClosed: () => void
  #credit = OUTPUT_WINDOW_BYTES
  #isClosed = false

  constructor(options: {
    readonly id: number
    readonly exec: Exec
    readonly cursor: { stdout: number; stderr: number }
    readonly send: (frame: Buffer) => void
    readonly onClosed: () => void
  }) {
    this.#id = options.id
    this.#exec = options.exec
    this.cursor = options.cursor
    this.#send = options.send
    this.#onClosed = options.onClosed
  }

  start(): void {
    this.#event({ kind: 'started', pid: this.#exec.pid })
    this.#exec.addReader(this)
    this.wake()
  }

  addCredit(bytes: number): void {
    this.#credit += bytes
    if (this.#credit > OUTPUT_WINDOW_BYTES) throw new ProtocolError('more credit than the window allows')
    this.wake()
    this.#exec.resumeSources()
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#exec.removeReader(this)
    this.#onClosed()
  }

  wake(): void {
    if (this.#isClosed) return
    for (let sent = true; sent; ) {
      sent = false
      for (const stream of STREAMS) sent = this.#sendSome(stream) || sent
    }
    if (this.#exec.exit === undefined || STREAMS.some((stream) => this.#hasMore(stream))) return
    const { hostMark, exit } = this.#exec
    this.#event({ kind: 'exited', ...exit, ...(hostMark === undefined ? {} : { hostMark }) })
    this.#send(encodeJsonFrame('end', this.#id, {}))
    this.close()
  }

  #hasMore(stream: OutputStream): boolean {
    return this.cursor[stream] < this.#exec.rings[stream].end
  }

  #sendSome(stream: OutputStream): boolean {
    const ring = this.#exec.rings[stream]
    if (this.#credit <= 0 || !this.#hasMore(stream)) return false
    if (this.cursor[stream] < ring.start) {
      this.#event({ kind: 'gap', stream, from: this.cursor[stream], to: ring.start })
      this.cursor[stream] = ring.start
    }
    const data = ring.read(this.cursor[stream], Math.min(CHUNK_BYTES, this.#credit))
    this.#send(encodeOutput(this.#id, stream, this.cursor[stream], data))
    this.cursor[stream] += data.length
    this.#credit -= data.length
    this.movedAt = Date.now()
    return data.length > 0
  }

  #event(event: GuestEvent): void {
    this.#send(encodeJsonFrame('event', this.#id, event))
  }
}
