import {
  encodeCredit,
  encodeFrame,
  OUTPUT_WINDOW_BYTES,
  type OutputStream,
  ProtocolError,
} from './guest-protocol.ts'
import type { GuestEvent } from './guest-protocol-messages.ts'

export type FeedItem =
  | { readonly kind: 'output'; readonly stream: OutputStream; readonly offset: number; readonly data: Buffer }
  | { readonly kind: 'event'; readonly event: GuestEvent }
  | { readonly kind: 'lost'; readonly reason: string }

const CREDIT_STEP_BYTES = 64 * 1024
/** Events carry no bytes and so no credit; a guest that sends more than this unread is hostile */
const EVENT_COUNT_MAX = 10_000

/** Output of one exec on its way to one reader: holds at most a window of bytes. */
export class ExecFeed {
  readonly #id: number
  readonly #send: (frame: Buffer) => void
  readonly #onClosed: () => void
  readonly #items: FeedItem[] = []
  #credit = OUTPUT_WINDOW_BYTES
  #consumed = 0
  #isEnded = false
  #wake: (() => void) | undefined

  constructor(id: number, send: (frame: Buffer) => void, onClosed: () => void) {
    this.#id = id
    this.#send = send
    this.#onClosed = onClosed
  }

  /** The next item; `undefined` at the end. One reader at a time. */
  async next(): Promise<FeedItem | undefined> {
    while (this.#items.length === 0 && !this.#isEnded) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    const item = this.#items.shift()
    if (item?.kind === 'output') this.#giveCredit(item.data.length)
    return item
  }

  /** Leaves the output alone; the program goes on. */
  close(): void {
    if (!this.#isEnded) this.#send(encodeFrame('cancel', this.#id))
    this.end()
  }

  receiveOutput(output: { stream: OutputStream; offset: number; data: Buffer }): void {
    this.#credit -= output.data.length
    if (this.#credit < 0) throw new ProtocolError('more output than the window allows')
    this.#push({ kind: 'output', ...output })
  }

  receiveEvent(event: GuestEvent): void {
    if (this.#items.length >= EVENT_COUNT_MAX) throw new ProtocolError('too many events')
    this.#push({ kind: 'event', event })
  }

  lose(reason: string): void {
    if (!this.#isEnded) this.#push({ kind: 'lost', reason })
    this.end()
  }

  end(): void {
    if (!this.#isEnded) this.#onClosed()
    this.#isEnded = true
    this.#wake?.()
  }

  #push(item: FeedItem): void {
    if (this.#isEnded) return
    this.#items.push(item)
    this.#wake?.()
  }

  #giveCredit(bytes: number): void {
    this.#credit += bytes
    this.#consumed += bytes
    if (this.#isEnded || (this.#consumed < CREDIT_STEP_BYTES && this.#items.length > 0)) return
    this.#send(encodeCredit(this.#id, this.#consumed))
    this.#consumed = 0
  }
}
