import { CHUNK_BYTES, encodeJsonFrame, encodeOutput, OUTPUT_WINDOW_BYTES } from '../guest-protocol.ts'
import type { GuestExecStatus, GuestExit, GuestRequestOf } from '../guest-protocol-messages.ts'
import type { FakeFiles } from './fake-files.ts'
import { runFakeProgram } from './fake-program.ts'

type Reader = {
  readonly id: number
  stdout: number
  stderr: number
  credit: number
  readonly send: (frame: Buffer) => void
}

/** A command of the fake sandbox: it runs when its input is complete, in one go. */
export class FakeExec {
  readonly #request: GuestRequestOf<'exec'>
  readonly #pid: number
  readonly #env: Readonly<Record<string, string>>
  readonly #files: FakeFiles
  readonly #onLost: () => void
  readonly #output = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) }
  readonly #readers = new Set<Reader>()
  readonly #input: Buffer[] = []
  #timer: NodeJS.Timeout | undefined
  #deadline: NodeJS.Timeout | undefined
  #ignoresTerm = false
  #hasRun = false
  exit: GuestExit | undefined

  constructor(
    request: GuestRequestOf<'exec'>,
    options: {
      readonly pid: number
      readonly env: Readonly<Record<string, string>>
      readonly files: FakeFiles
      readonly onLost: () => void
    },
  ) {
    this.#request = request
    this.#pid = options.pid
    this.#env = { ...options.env, ...request.env }
    this.#files = options.files
    this.#onLost = options.onLost
    if (request.timeoutMs !== undefined) {
      this.#deadline = setTimeout(
        () => this.end({ code: null, signal: this.#ignoresTerm ? 'SIGKILL' : 'SIGTERM', limit: 'time' }),
        request.timeoutMs,
      )
    }
  }

  status(wasStarted: boolean): GuestExecStatus {
    const { execId, hostMark } = this.#request
    return {
      execId,
      pid: this.#pid,
      wasStarted,
      stdoutEnd: this.#output.stdout.length,
      stderrEnd: this.#output.stderr.length,
      ...(this.exit === undefined ? {} : { exit: this.exit }),
      ...(hostMark === undefined ? {} : { hostMark }),
    }
  }

  /** Bytes for its input; with `close` it begins. */
  write(data: Buffer, close: boolean): void {
    this.#input.push(data)
    if (close && !this.#hasRun) this.#run()
  }

  signal(signal: string): void {
    if (signal === 'SIGKILL' || !this.#ignoresTerm) this.end({ code: null, signal })
  }

  end(exit: GuestExit): void {
    if (this.exit !== undefined) return
    clearTimeout(this.#timer)
    clearTimeout(this.#deadline)
    this.exit = exit
    for (const reader of this.#readers) this.#feed(reader)
  }

  attach(id: number, from: { stdout: number; stderr: number }, send: (frame: Buffer) => void): void {
    const reader = { id, ...from, credit: OUTPUT_WINDOW_BYTES, send }
    this.#readers.add(reader)
    send(encodeJsonFrame('event', id, { kind: 'started', pid: this.#pid }))
    this.#feed(reader)
  }

  detach(id: number): void {
    for (const reader of this.#readers) if (reader.id === id) this.#readers.delete(reader)
  }

  #run(): void {
    this.#hasRun = true
    const { argv, cwd = '/workspace' } = this.#request
    const command = { argv, cwd, env: this.#env }
    const { stdout, stderr, end } = runFakeProgram(command, this.#files, Buffer.concat(this.#input))
    this.#output.stdout = Buffer.from(stdout)
    this.#output.stderr = Buffer.from(stderr)
    for (const reader of this.#readers) this.#feed(reader)
    if (end.kind === 'lost') this.#onLost()
    else if (end.kind === 'hang') this.#ignoresTerm = end.ignoresTerm
    else if (end.afterMs === 0) this.end(end.exit)
    else this.#timer = setTimeout(() => this.end(end.exit), end.afterMs)
  }

  addCredit(id: number, bytes: number): void {
    for (const reader of this.#readers) {
      if (reader.id !== id) continue
      reader.credit += bytes
      this.#feed(reader)
    }
  }

  #feed(reader: Reader): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      const all = this.#output[stream]
      while (reader[stream] < all.length && reader.credit > 0) {
        const data = all.subarray(reader[stream], reader[stream] + Math.min(CHUNK_BYTES, reader.credit))
        reader.send(encodeOutput(reader.id, stream, reader[stream], data))
        reader[stream] += data.length
        reader.credit -= data.length
      }
      if (reader[stream] < all.length) return
    }
    if (this.exit === undefined) return
    const { hostMark } = this.#request
    const event = { kind: 'exited', ...this.exit, ...(hostMark === undefined ? {} : { hostMark }) }
    reader.send(encodeJsonFrame('event', reader.id, event))
    reader.send(encodeJsonFrame('end', reader.id, {}))
    this.#readers.delete(reader)
  }
}
