import type { Duplex } from 'node:stream'
import { SandboxError, type SandboxErrorCode } from './contract.ts'
import { ExecFeed } from './guest-connection-feed.ts'
import {
  decodeOutput,
  encodeFrame,
  encodeJsonFrame,
  encodeRequest,
  type Frame,
  FrameDecoder,
  PROTOCOL_VERSIONS,
  ProtocolError,
  parseJson,
} from './guest-protocol.ts'
import {
  type GuestErrorObject,
  type GuestRequest,
  parseEnd,
  parseEvent,
  parseOpen,
  parseRefused,
  parseReply,
  parseWelcome,
} from './guest-protocol-messages.ts'
import type { Parser } from './guest-protocol-parse.ts'
import { ProtocolStream } from './guest-protocol-stream.ts'

const REQUEST_TIMEOUT_MS = 30_000
const TUNNEL_IDS_FROM = 0x8000_0000
const TUNNEL_COUNT_MAX = 256

export type ConnectOptions = {
  readonly stream: Duplex
  readonly sandboxId: string
  readonly secret: string
  /** Drawn by the caller; the guest must send it back */
  readonly nonce: string
  readonly timeoutMs: number
  readonly signal?: AbortSignal
  /** Where tunnels of the guest lead; left out, they are refused */
  readonly openGateway?: () => Duplex
}

/**
 * Speaks with a guest program: proves the secret, then sends requests. The connection owns the stream.
 * @throws SandboxError `sandbox_lost` when nobody answers in time, `protocol_error` when it is not our guest
 */
export async function connectGuest(options: ConnectOptions): Promise<GuestConnection> {
  const connection = new GuestConnection(options)
  const { sandboxId, nonce, timeoutMs, signal } = options
  const abort = () => connection.close('the connecting was aborted')
  signal?.addEventListener('abort', abort, { once: true })
  const deadline = setTimeout(() => connection.close(`no answer within ${timeoutMs} ms`), timeoutMs)
  try {
    await connection.welcomed
    const { welcome } = connection
    if (welcome?.nonce !== nonce || welcome.sandboxId !== sandboxId) {
      connection.close('another guest answered')
      throw new SandboxError('protocol_error', `another guest answered for sandbox ${sandboxId}`)
    }
    return connection
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  } finally {
    clearTimeout(deadline)
    signal?.removeEventListener('abort', abort)
  }
}

type Pending = { resolve(value: unknown): void; reject(error: Error): void }

export class GuestConnection {
  readonly sandboxId: string
  /** Resolves with the guest's welcome */
  readonly welcomed: Promise<void>
  /** Resolves when the connection ended, with the reason */
  readonly disconnected: Promise<string>
  welcome: { readonly nonce: string; readonly sandboxId: string; readonly hasIdentity: boolean } | undefined
  readonly #stream: Duplex
  readonly #openGateway: (() => Duplex) | undefined
  readonly #pending = new Map<number, Pending>()
  readonly #feeds = new Map<number, ExecFeed>()
  readonly #streams = new Map<number, ProtocolStream>()
  readonly #decoder = new FrameDecoder()
  readonly #disconnect: (reason: string) => void
  #welcome: Pending | undefined
  #nextId = 1
  #endReason: string | undefined

  constructor({ stream, sandboxId, secret, nonce, openGateway }: ConnectOptions) {
    this.sandboxId = sandboxId
    this.#stream = stream
    this.#openGateway = openGateway
    const disconnected = Promise.withResolvers<string>()
    this.disconnected = disconnected.promise
    this.#disconnect = disconnected.resolve
    const welcomed = Promise.withResolvers<void>()
    this.welcomed = welcomed.promise
    this.#welcome = { resolve: () => welcomed.resolve(), reject: welcomed.reject }
    stream.on('data', (chunk: Buffer) => this.#receiveChunk(chunk))
    stream.on('error', (error: Error) => this.close(error.message))
    stream.once('close', () => this.close('the connection was closed'))
    stream.once('end', () => this.close('the guest program ended the connection'))
    stream.write(encodeJsonFrame('hello', 0, { versions: PROTOCOL_VERSIONS, secret, nonce }))
  }

  get isOpen(): boolean {
    return this.#endReason === undefined
  }

  /** Sends a request and gives its parsed answer. @throws SandboxError */
  async request<T>(
    request: GuestRequest,
    parse: Parser<T>,
    options: { readonly body?: Buffer; readonly timeoutMs?: number } = {},
  ): Promise<T> {
    return await this.#send(this.#takeId(), request, parse, options)
  }

  /** Opens the output of an exec. The caller closes the feed. */
  async openFeed(request: GuestRequest & { op: 'attach' }): Promise<ExecFeed> {
    const id = this.#takeId()
    const feed = new ExecFeed(
      id,
      (frame) => this.#write(frame),
      () => this.#feeds.delete(id),
    )
    this.#feeds.set(id, feed)
    try {
      await this.#send(id, request, (value) => value, {})
    } catch (error) {
      this.#feeds.delete(id)
      throw error
    }
    return feed
  }

  /** A request with a byte stream beside it; `answered` is its reply. */
  openStream(request: GuestRequest & { op: 'put' | 'get' }, timeoutMs: number) {
    const id = this.#takeId()
    const stream = this.#addStream(id)
    const answered = this.#send(id, request, (value) => value, { timeoutMs })
    answered.catch(() => {})
    return { stream, answered }
  }

  close(reason: string): void {
    if (this.#endReason !== undefined) return
    this.#endReason = reason
    const lost = this.#lost()
    this.#welcome?.reject(lost)
    for (const pending of this.#pending.values()) pending.reject(lost)
    this.#pending.clear()
    for (const feed of [...this.#feeds.values()]) feed.lose(reason)
    for (const stream of [...this.#streams.values()]) stream.destroy(lost)
    this.#stream.destroy()
    this.#disconnect(reason)
  }

  async #send<T>(
    id: number,
    request: GuestRequest,
    parse: Parser<T>,
    { body, timeoutMs = REQUEST_TIMEOUT_MS }: { readonly body?: Buffer; readonly timeoutMs?: number },
  ): Promise<T> {
    if (this.#endReason !== undefined) throw this.#lost()
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.#pending.set(id, { resolve, reject })
    const deadline = setTimeout(() => {
      reject(
        new SandboxError('timed_out', `${request.op} was not answered within ${timeoutMs} ms`, {
          data: { sandboxId: this.sandboxId },
        }),
      )
    }, timeoutMs)
    try {
      this.#write(encodeRequest(id, request, body))
      const value = await promise
      return parse(value, request.op)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.close(error.message)
      throw new SandboxError('protocol_error', `the guest's answer to ${request.op}: ${error.message}`)
    } finally {
      clearTimeout(deadline)
      this.#pending.delete(id)
    }
  }

  #receiveChunk(chunk: Buffer): void {
    if (this.#endReason !== undefined) return
    try {
      for (const frame of this.#decoder.push(chunk)) this.#receive(frame)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.close(`the guest broke the protocol: ${error.message}`)
    }
  }

  #receive(frame: Frame): void {
    const { kind, id, payload } = frame
    if (this.#welcome !== undefined) this.#receiveWelcome(frame)
    else if (kind === 'reply') this.#receiveReply(id, payload)
    else if (kind === 'open') this.#receiveOpen(id, payload)
    else if (this.#feeds.has(id)) receiveForFeed(this.#feeds.get(id) as ExecFeed, frame)
    else if (this.#streams.has(id)) this.#streams.get(id)?.receive(frame)
    else if (kind === 'hello' || kind === 'welcome' || kind === 'request' || kind === 'refused') {
      throw new ProtocolError(`${kind} frame in a session`)
    }
    // Anything else belongs to a stream that ended while the frame was under way.
  }

  #receiveWelcome({ kind, payload }: Frame): void {
    if (kind === 'refused') {
      const { code, message } = parseRefused(parseJson(payload), 'refused')
      this.close(`${code}: ${message}`)
      return
    }
    if (kind !== 'welcome') throw new ProtocolError(`${kind} frame before the welcome`)
    this.welcome = parseWelcome(parseJson(payload), 'welcome')
    this.#welcome?.resolve(undefined)
    this.#welcome = undefined
  }

  #receiveReply(id: number, payload: Buffer): void {
    const reply = parseReply(parseJson(payload), 'reply')
    const pending = this.#pending.get(id)
    // A reply after its deadline finds nobody waiting.
    if (reply.ok === 'yes') pending?.resolve(reply.value)
    else pending?.reject(toSandboxError(reply.error, this.sandboxId))
  }

  #receiveOpen(id: number, payload: Buffer): void {
    parseOpen(parseJson(payload), 'open')
    if (id < TUNNEL_IDS_FROM || this.#streams.has(id)) throw new ProtocolError('a tunnel with a taken id')
    if (this.#openGateway === undefined || this.#streams.size >= TUNNEL_COUNT_MAX) {
      this.#write(encodeFrame('cancel', id))
      return
    }
    const tunnel = this.#addStream(id)
    const gateway = this.#openGateway()
    gateway.on('error', () => tunnel.destroy())
    gateway.on('close', () => tunnel.destroy())
    tunnel.on('close', () => gateway.destroy())
    tunnel.pipe(gateway)
    gateway.pipe(tunnel)
  }

  #addStream(id: number): ProtocolStream {
    const stream = new ProtocolStream(
      id,
      (frame) => this.#write(frame),
      () => this.#streams.delete(id),
    )
    stream.on('error', () => {})
    this.#streams.set(id, stream)
    return stream
  }

  #takeId(): number {
    const id = this.#nextId
    this.#nextId = (this.#nextId % (TUNNEL_IDS_FROM - 1)) + 1
    return id
  }

  #write(frame: Buffer): void {
    if (this.#endReason === undefined) this.#stream.write(frame)
  }

  #lost(): SandboxError {
    return new SandboxError('sandbox_lost', `sandbox ${this.sandboxId} is lost: ${this.#endReason}`, {
      data: { sandboxId: this.sandboxId, reason: this.#endReason },
    })
  }
}

function receiveForFeed(feed: ExecFeed, { kind, payload }: Frame): void {
  if (kind === 'output') feed.receiveOutput(decodeOutput(payload))
  else if (kind === 'event') feed.receiveEvent(parseEvent(parseJson(payload), 'event'))
  else if (kind === 'end') {
    parseEnd(parseJson(payload), 'end')
    feed.end()
  } else throw new ProtocolError(`${kind} frame on the output of an exec`)
}

export function toSandboxError({ code, message }: GuestErrorObject, sandboxId: string): SandboxError {
  return new SandboxError(code satisfies SandboxErrorCode, message, { data: { sandboxId } })
}
