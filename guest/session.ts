import { open } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { hostname } from 'node:os'
import type { Duplex } from 'node:stream'
import {
  decodeCredit,
  decodeRequest,
  encodeJsonFrame,
  type Frame,
  OPEN_COUNT_MAX,
  ProtocolError,
} from '../src/sandbox/guest-protocol.ts'
import {
  type GuestConfig,
  type GuestRequest,
  type GuestRequestOf,
  parseRequest,
} from '../src/sandbox/guest-protocol-messages.ts'
import { ProtocolStream } from '../src/sandbox/guest-protocol-stream.ts'
import type { Deadman } from './deadman.ts'
import type { ExecTable } from './exec-table.ts'
import { GuestError, toErrorObject } from './guest-error.ts'
import { OutputFeed } from './output-feed.ts'
import { packTree } from './pack-tree.ts'
import { mapPath } from './path-map.ts'
import { killEverything } from './process-tree.ts'
import { unpackTree } from './unpack-tree.ts'
import { readUsage } from './usage.ts'

export type SupervisorState = {
  readonly config: GuestConfig
  readonly execs: ExecTable
  readonly deadman: Deadman
  hasIdentity: boolean
}

const TUNNEL_IDS_FROM = 0x8000_0000
const STOP_CHECK_MS = 20
/** What may be asked before the sandbox knows who it is */
const BEFORE_IDENTITY: readonly GuestRequest['op'][] = ['identity', 'ping', 'stop', 'renew']

/** One controlling connection: answers requests, carries streams. */
export class Session {
  readonly #socket: Socket
  readonly #state: SupervisorState
  readonly #streams = new Map<number, ProtocolStream>()
  readonly #feeds = new Map<number, OutputFeed>()
  readonly #pending = new Set<number>()
  #nextTunnelId = TUNNEL_IDS_FROM
  #isClosed = false

  constructor(socket: Socket, state: SupervisorState) {
    this.#socket = socket
    this.#state = state
  }

  /** @throws ProtocolError when the frame makes no sense; the connection is then closed */
  receive({ kind, id, payload }: Frame): void {
    if (this.#isClosed) return
    const stream = this.#streams.get(id)
    const feed = this.#feeds.get(id)
    if (kind === 'request') this.#receiveRequest(id, payload)
    else if (kind === 'hello' || kind === 'welcome' || kind === 'reply') {
      throw new ProtocolError(`${kind} frame in a session`)
    } else if (stream !== undefined) stream.receive({ kind, id, payload })
    else if (feed !== undefined && kind === 'credit') feed.addCredit(decodeCredit(payload))
    else if (feed !== undefined && kind === 'cancel') feed.close()
    // Anything else belongs to a stream that ended while the frame was under way.
  }

  openTunnel(): Duplex {
    const id = this.#nextTunnelId++
    this.#send(encodeJsonFrame('open', id, { to: 'gateway' }))
    return this.#openStream(id)
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const feed of [...this.#feeds.values()]) feed.close()
    for (const stream of [...this.#streams.values()]) stream.destroy()
    this.#socket.end()
  }

  #receiveRequest(id: number, payload: Buffer): void {
    const { value, body } = decodeRequest(payload)
    const request = parseRequest(value, 'request')
    const isTaken = this.#pending.has(id) || this.#streams.has(id) || this.#feeds.has(id)
    if (isTaken || id >= TUNNEL_IDS_FROM) throw new ProtocolError(`request id ${id} is in use`)
    if (this.#pending.size >= OPEN_COUNT_MAX) throw new ProtocolError('too many requests at a time')
    this.#pending.add(id)
    // The bytes are copied: they would otherwise keep the whole received chunk in memory.
    this.#answer(id, request, Buffer.from(body)).then(
      (value) => this.#reply(id, { ok: 'yes', value }),
      (error) => this.#reply(id, { ok: 'no', error: toErrorObject(error) }),
    )
  }

  #reply(id: number, reply: unknown): void {
    this.#pending.delete(id)
    this.#send(encodeJsonFrame('reply', id, reply))
  }

  async #answer(id: number, request: GuestRequest, body: Buffer): Promise<unknown> {
    const { execs, deadman, config } = this.#state
    if (!this.#state.hasIdentity && !BEFORE_IDENTITY.includes(request.op)) {
      throw new GuestError('identity_required', `${request.op} came before the identity`)
    }
    switch (request.op) {
      case 'identity':
        return await this.#takeIdentity(request)
      case 'exec':
        return await execs.start(request, body)
      case 'find':
        return { exec: execs.find(request.execId)?.status(true) ?? null }
      case 'stdin':
        await execs.get(request.execId).writeStdin(body, request.close)
        return {}
      case 'signal':
        execs.get(request.execId).signal(request.signal)
        return {}
      case 'attach':
        this.#attach(id, request)
        return {}
      case 'put':
        return await this.#put(id, request.path)
      case 'get':
        this.#get(id, request)
        return {}
      case 'renew':
        deadman.renew(request.deadmanMs)
        return {}
      case 'usage':
        return readUsage(config, deadman.leftMs())
      case 'ping':
        return { nonce: request.nonce }
      case 'stop':
        return await this.#stop(request.graceMs)
      default:
        return request satisfies never
    }
  }

  async #takeIdentity(request: GuestRequestOf<'identity'>): Promise<unknown> {
    const clockOffsetMs = Date.now() - request.nowMs
    // Mixed into the pool; where the kernel is shared with the host this is harmless, in a clone it is vital.
    const pool = await open('/dev/urandom', 'w').catch(() => undefined)
    await pool?.write(Buffer.from(request.entropy, 'base64'))
    await pool?.close()
    this.#state.hasIdentity = true
    return { nonce: request.nonce, hostname: hostname(), clockOffsetMs }
  }

  #attach(id: number, { execId, stdoutOffset, stderrOffset }: GuestRequestOf<'attach'>): void {
    const exec = this.#state.execs.get(execId)
    const feed = new OutputFeed({
      id,
      exec,
      cursor: { stdout: stdoutOffset, stderr: stderrOffset },
      send: (frame) => this.#send(frame),
      onClosed: () => this.#feeds.delete(id),
    })
    this.#feeds.set(id, feed)
    // After the reply, so that the reader knows its stream before the first frame of it.
    setImmediate(() => feed.start())
  }

  async #put(id: number, path: string): Promise<unknown> {
    const stream = this.#openStream(id)
    try {
      await unpackTree(stream, mapPath(this.#state.config.pathMap, path))
      stream.end()
      return {}
    } catch (error) {
      stream.fail(toErrorObject(error))
      throw error
    }
  }

  #get(id: number, { path, onlyFile }: GuestRequestOf<'get'>): void {
    const stream = this.#openStream(id)
    stream.resume()
    packTree(mapPath(this.#state.config.pathMap, path), stream, { onlyFile }).catch((error) =>
      stream.fail(toErrorObject(error)),
    )
  }

  /** SIGTERM to all, a while, SIGKILL to all; then this program ends as well. */
  async #stop(graceMs: number): Promise<unknown> {
    const { execs, config } = this.#state
    if (graceMs > 0 && execs.running().length > 0) killEverything(config, 'SIGTERM')
    for (let waitedMs = 0; waitedMs < graceMs && execs.running().length > 0; waitedMs += STOP_CHECK_MS) {
      await new Promise((resolve) => setTimeout(resolve, STOP_CHECK_MS))
    }
    killEverything(config)
    setTimeout(() => process.exit(0), STOP_CHECK_MS)
    return {}
  }

  #openStream(id: number): ProtocolStream {
    if (this.#streams.size >= OPEN_COUNT_MAX) throw new GuestError('guest_failed', 'too many open streams')
    const stream = new ProtocolStream(
      id,
      (frame) => this.#send(frame),
      () => this.#streams.delete(id),
    )
    stream.on('error', () => {})
    this.#streams.set(id, stream)
    return stream
  }

  /** Bounded: replies by the requests open at a time, everything else by its window. */
  #send(frame: Buffer): void {
    if (!this.#isClosed && this.#socket.writable) this.#socket.write(frame)
  }
}
