import type { Duplex } from 'node:stream'
import {
  decodeCredit,
  decodeRequest,
  encodeJsonFrame,
  type Frame,
  FrameDecoder,
  PROTOCOL_VERSIONS,
  ProtocolError,
  parseJson,
} from '../guest-protocol.ts'
import {
  type GuestErrorObject,
  type GuestRequest,
  parseHello,
  parseRequest,
} from '../guest-protocol-messages.ts'
import { ProtocolStream } from '../guest-protocol-stream.ts'
import { FakeExec } from './fake-exec.ts'
import { FakeFileError, FakeFiles } from './fake-files.ts'

class FakeRefusal extends Error {
  readonly code: GuestErrorObject['code']
  constructor(code: GuestErrorObject['code'], message: string) {
    super(message)
    this.name = 'FakeRefusal'
    this.code = code
  }
}

const FIRST_PID = 2

/** A guest program in memory: speaks the real protocol, starts no process. */
export class FakeGuest {
  readonly files: FakeFiles
  readonly #options: FakeGuestOptions
  readonly #execs = new Map<string, FakeExec>()
  #current: Duplex | undefined
  #hasIdentity = false
  #deadman: NodeJS.Timeout | undefined
  #deadmanAt = 0
  isGone = false

  constructor(options: FakeGuestOptions) {
    this.#options = options
    this.files = new FakeFiles(options.diskBytes)
    this.#renew(options.deadmanMs)
  }

  /** A new controlling connection replaces the old one. */
  accept(socket: Duplex): void {
    const decoder = new FrameDecoder()
    const streams = new Map<number, ProtocolStream>()
    let isAdmitted = false
    const send = (frame: Buffer) => void (socket.writable && socket.write(frame))
    const receive = ({ kind, id, payload }: Frame) => {
      if (!isAdmitted) {
        send(this.#welcome(payload))
        isAdmitted = true
        this.#current?.destroy()
        this.#current = socket
      } else if (kind === 'request') this.#receiveRequest(id, payload, send, streams)
      else if (streams.has(id)) streams.get(id)?.receive({ kind, id, payload })
      else if (kind === 'cancel') for (const exec of this.#execs.values()) exec.detach(id)
      else if (kind === 'credit') {
        for (const exec of this.#execs.values()) exec.addCredit(id, decodeCredit(payload))
      }
    }
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const frame of decoder.push(chunk)) receive(frame)
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error
        socket.destroy()
      }
    })
    socket.on('error', () => socket.destroy())
    if (this.isGone) socket.destroy()
  }

  /** Everything inside ends, as after a crash of the host it ran on. */
  vanish(): void {
    if (this.isGone) return
    this.isGone = true
    clearTimeout(this.#deadman)
    this.#current?.destroy()
    this.#options.onGone()
  }

  #welcome(payload: Buffer): Buffer {
    const { nonce, secret } = parseHello(parseJson(payload), 'hello')
    if (secret !== this.#options.secret) throw new ProtocolError('secret_wrong')
    const { sandboxId } = this.#options
    const welcome = { version: PROTOCOL_VERSIONS[0], nonce, sandboxId, hasIdentity: this.#hasIdentity }
    return encodeJsonFrame('welcome', 0, welcome)
  }

  #receiveRequest(
    id: number,
    payload: Buffer,
    send: (frame: Buffer) => void,
    streams: Map<number, ProtocolStream>,
  ): void {
    const { value, body } = decodeRequest(payload)
    const request = parseRequest(value, 'request')
    const openStream = () => {
      const stream = new ProtocolStream(id, send, () => streams.delete(id))
      stream.on('error', () => {})
      streams.set(id, stream)
      return stream
    }
    this.#answer(id, request, body, send, openStream).then(
      (answer) => send(encodeJsonFrame('reply', id, { ok: 'yes', value: answer })),
      (error) => send(encodeJsonFrame('reply', id, { ok: 'no', error: toErrorObject(error) })),
    )
  }

  async #answer(
    id: number,
    request: GuestRequest,
    body: Buffer,
    send: (frame: Buffer) => void,
    openStream: () => ProtocolStream,
  ): Promise<unknown> {
    if (!this.#hasIdentity && !['identity', 'ping', 'stop', 'renew'].includes(request.op)) {
      throw new FakeRefusal('identity_required', `${request.op} came before the identity`)
    }
    switch (request.op) {
      case 'identity':
        this.#hasIdentity = true
        return { nonce: request.nonce, hostname: request.hostname, clockOffsetMs: 0 }
      case 'exec':
        return this.#exec(request, body)
      case 'find':
        return { exec: this.#execs.get(request.execId)?.status(true) ?? null }
      case 'stdin':
        this.#get(request.execId).write(Buffer.from(body), request.close)
        return {}
      case 'signal':
        this.#get(request.execId).signal(request.signal)
        return {}
      case 'attach': {
        const exec = this.#get(request.execId)
        const from = { stdout: request.stdoutOffset, stderr: request.stderrOffset }
        setImmediate(() => exec.attach(id, from, send))
        return {}
      }
      case 'put':
        return await this.#put(openStream(), request.path)
      case 'get':
        this.#send(openStream(), request)
        return {}
      case 'renew':
        this.#renew(request.deadmanMs)
        return {}
      case 'usage':
        return this.#usage()
      case 'ping':
        return { nonce: request.nonce }
      case 'stop':
        for (const exec of this.#execs.values()) exec.end({ code: null, signal: 'SIGTERM' })
        setImmediate(() => this.vanish())
        return {}
      default:
        return request satisfies never
    }
  }

  #exec(request: GuestRequest & { op: 'exec' }, body: Buffer): unknown {
    const known = this.#execs.get(request.execId)
    if (known !== undefined) return known.status(true)
    const { cwd = '/workspace' } = request
    if (!this.files.isDirectory(cwd)) throw new FakeRefusal('not_found', `cannot enter ${cwd}`)
    const pid = FIRST_PID + this.#execs.size
    const exec = new FakeExec(request, {
      pid,
      env: this.#options.env,
      files: this.files,
      onLost: () => this.vanish(),
    })
    this.#execs.set(request.execId, exec)
    exec.write(Buffer.from(body), request.stdin === 'closed')
    return exec.status(false)
  }

  #get(execId: string): FakeExec {
    const exec = this.#execs.get(execId)
    if (exec === undefined) throw new FakeRefusal('exec_unknown', `no exec ${execId} in this sandbox`)
    return exec
  }

  async #put(stream: ProtocolStream, path: string): Promise<unknown> {
    try {
      await this.files.unpack(stream, path)
      stream.end()
      return {}
    } catch (error) {
      stream.fail(toErrorObject(error))
      throw error
    }
  }

  #send(stream: ProtocolStream, { path, onlyFile }: { path: string; onlyFile: boolean }): void {
    stream.resume()
    try {
      const tar = this.files.pack(path, { onlyFile })
      // A reader that leaves early is no trouble.
      tar.on('error', () => {})
      tar.pipe(stream)
    } catch (error) {
      stream.fail(toErrorObject(error))
    }
  }

  #usage(): unknown {
    const running = [...this.#execs.values()].filter(({ exit }) => exit === undefined)
    return {
      cpuMs: 0,
      memoryBytes: 0,
      processCount: running.length,
      diskBytes: this.files.usedBytes(),
      fileMarker: String(this.files.changeCount),
      deadmanLeftMs: Math.max(0, Math.round(this.#deadmanAt - performance.now())),
    }
  }

  #renew(deadmanMs: number): void {
    clearTimeout(this.#deadman)
    this.#deadmanAt = performance.now() + deadmanMs
    this.#deadman = setTimeout(() => this.vanish(), deadmanMs)
    this.#deadman.unref()
  }
}

export type FakeGuestOptions = {
  readonly sandboxId: string
  readonly secret: string
  readonly env: Readonly<Record<string, string>>
  readonly deadmanMs: number
  readonly diskBytes: number
  readonly onGone: () => void
}

function toErrorObject(error: unknown): GuestErrorObject {
  const message = error instanceof Error ? error.message : String(error)
  if (error instanceof FakeRefusal || error instanceof FakeFileError) return { code: error.code, message }
  return { code: 'guest_failed', message }
}
