import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import type { OutputStream } from '../src/sandbox/guest-protocol.ts'
import type { GuestExecStatus, GuestExit, GuestRequestOf } from '../src/sandbox/guest-protocol-messages.ts'
import { GuestError } from './guest-error.ts'
import { OutputRing } from './output-ring.ts'
import { killTree, toMarkers, trySignal } from './process-tree.ts'
import { asSupervisor, workloadIds } from './workload-user.ts'

type Limit = NonNullable<GuestExit['limit']>

export type ResolvedCommand = {
  readonly argv: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
}

const DEFAULT_RING_BYTES = 4 * 1024 * 1024
const DEFAULT_GRACE_MS = 2000
/** After the program itself ended: time for its own children to finish writing, `ms` */
const LEFTOVER_MS = 250
/** Time for the pipes to close once every process of it is dead, `ms` */
const DRAIN_MS = 3000
/** A reader that takes nothing for this long no longer holds up the program, `ms` */
const READER_STALL_MS = 2000

/** Someone who reads the output of an exec, and how far it is. */
export type OutputReader = {
  readonly cursor: { stdout: number; stderr: number }
  /** When it last took something, `ms` of the wall clock */
  movedAt: number
  /** Something new can be read, or the exec ended */
  wake(): void
}

/** One program and what is known of it, kept after its end. */
export class Exec {
  readonly id: string
  readonly rings: Readonly<Record<OutputStream, OutputRing>>
  readonly readers = new Set<OutputReader>()
  readonly hostMark: string | undefined
  readonly #onEnded: (exec: Exec) => void
  readonly #graceMs: number
  #child: ChildProcess | undefined
  /** In the environment of everything that it starts */
  #markers: readonly string[] = []
  #deadline: NodeJS.Timeout | undefined
  #stallCheck: NodeJS.Timeout | undefined
  #limit: Limit | undefined
  exit: GuestExit | undefined

  constructor(request: GuestRequestOf<'exec'>, onEnded: (exec: Exec) => void) {
    this.id = request.execId
    this.hostMark = request.hostMark
    const ringBytes = request.ringBytes ?? DEFAULT_RING_BYTES
    this.rings = { stdout: new OutputRing(ringBytes), stderr: new OutputRing(ringBytes) }
    this.#graceMs = request.graceMs ?? DEFAULT_GRACE_MS
    this.#onEnded = onEnded
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  status(wasStarted: boolean): GuestExecStatus {
    return {
      execId: this.id,
      pid: this.pid,
      wasStarted,
      stdoutEnd: this.rings.stdout.end,
      stderrEnd: this.rings.stderr.end,
      ...(this.exit === undefined ? {} : { exit: this.exit }),
      ...(this.hostMark === undefined ? {} : { hostMark: this.hostMark }),
    }
  }

  /** Starts the program in a session of its own. Throws when the system refuses a process. */
  start({ argv, cwd, env }: ResolvedCommand, options: { timeoutMs?: number; stdin: Buffer | 'open' }): void {
    this.#markers = toMarkers(env)
    const child = startChild(argv, cwd, env)
    this.#child = child
    if (child.pid !== undefined) preferForOutOfMemory(child.pid)
    child.stdin?.on('error', () => {})
    if (options.stdin !== 'open') child.stdin?.end(options.stdin)
    this.#collect('stdout', child.stdout as Readable)
    this.#collect('stderr', child.stderr as Readable)
    child.once('error', (error) => this.failToStart(126, error.message))
    child.once('exit', (code, signal) => this.#finish(code, signal))
    if (options.timeoutMs !== undefined) {
      this.#deadline = setTimeout(() => this.terminate('time'), options.timeoutMs)
    }
  }

  /** Records a program that never ran, as a shell would: 127 not found, 126 not executable. */
  failToStart(code: 126 | 127, message: string): void {
    if (this.exit !== undefined) return
    this.rings.stderr.append(Buffer.from(`swarm: ${message}\n`))
    this.#end({ code, signal: null })
  }

  signal(signal: NodeJS.Signals): void {
    if (this.exit !== undefined || this.pid === 0) return
    if (signal === 'SIGKILL') killTree(this.pid, this.#markers)
    else trySignal(-this.pid, signal)
  }

  /** SIGTERM, then SIGKILL for everything of it; the exit says which limit it was. */
  terminate(limit: Limit): void {
    if (this.exit !== undefined) return
    this.#limit ??= limit
    if (limit === 'time') {
      this.signal('SIGTERM')
      setTimeout(() => this.signal('SIGKILL'), this.#graceMs).unref()
    } else this.signal('SIGKILL')
  }

  /** A limit that was reached without anybody being killed; said when the program then fails. */
  noteLimit(limit: Limit): void {
    this.#noted = limit
  }
  #noted: Limit | undefined

  /** Resolves when the program took the bytes, so that the host is never ahead of it. */
  writeStdin(data: Buffer, close: boolean): Promise<void> {
    const stdin = this.#child?.stdin
    if (stdin === undefined || stdin === null || stdin.destroyed || stdin.writableEnded) {
      if (close && data.length === 0) return Promise.resolve()
      return Promise.reject(new GuestError('request_invalid', `standard input of ${this.id} is closed`))
    }
    return new Promise((resolve) => {
      // A program that no longer reads is not the host's trouble: its exit says what happened.
      const done = () => resolve()
      if (close) stdin.end(data, done)
      else stdin.write(data, done)
      stdin.once('close', done)
    })
  }

  addReader(reader: OutputReader): void {
    this.readers.add(reader)
  }

  removeReader(reader: OutputReader): void {
    this.readers.delete(reader)
    this.resumeSources()
  }

  /** Lets the program write on when its readers have caught up. */
  resumeSources(): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      const source = this.#child?.[stream]
      if (source?.isPaused() && !this.#isHeldUp(stream)) source.resume()
    }
  }

  #collect(stream: OutputStream, source: Readable): void {
    source.on('error', () => {})
    source.on('data', (data: Buffer) => {
      this.rings[stream].append(data)
      for (const reader of this.readers) reader.wake()
      if (this.#isHeldUp(stream)) {
        source.pause()
        this.#watchStall()
      }
    })
  }

  /** A reader that moves is waited for; one that stalls is overwritten. */
  #isHeldUp(stream: OutputStream): boolean {
    const { end, bytesMax } = this.rings[stream]
    const now = Date.now()
    for (const reader of this.readers) {
      const isBehind = end - reader.cursor[stream] > bytesMax / 2
      if (isBehind && now - reader.movedAt < READER_STALL_MS) return true
    }
    return false
  }

  #watchStall(): void {
    this.#stallCheck ??= setTimeout(() => {
      this.#stallCheck = undefined
      this.resumeSources()
      if (this.#child?.stdout?.isPaused() || this.#child?.stderr?.isPaused()) this.#watchStall()
    }, READER_STALL_MS / 4)
  }

  #finish(code: number | null, signal: NodeJS.Signals | null): void {
    clearTimeout(this.#deadline)
    const child = this.#child as ChildProcess
    const end = () => {
      clearTimeout(leftovers)
      killTree(this.pid, this.#markers)
      child.stdout?.destroy()
      child.stderr?.destroy()
      child.stdin?.destroy()
      const limit = this.#limit ?? (code === 0 ? undefined : this.#noted)
      this.#end({ code, signal, ...(limit === undefined ? {} : { limit }) })
    }
    let drain: NodeJS.Timeout | undefined
    const leftovers = setTimeout(() => {
      killTree(this.pid, this.#markers)
      drain = setTimeout(end, DRAIN_MS)
    }, LEFTOVER_MS)
    child.once('close', () => {
      clearTimeout(drain)
      if (this.exit === undefined) end()
    })
  }

  #end(exit: GuestExit): void {
    if (this.exit !== undefined) return
    clearTimeout(this.#deadline)
    clearTimeout(this.#stallCheck)
    this.exit = exit
    this.#onEnded(this)
    for (const reader of this.readers) reader.wake()
  }
}

const OUT_OF_MEMORY_SCORE = '500'

/** When memory runs out it is the workload that ends, not the supervisor, whatever each of them has mapped. */
function preferForOutOfMemory(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, OUT_OF_MEMORY_SCORE)
  } catch {
    // It ended already, or the host gave everything here a higher score.
  }
}

/** The directory is entered with the workload's rights, the identity changed only for the start itself. */
function startChild(argv: readonly string[], cwd: string, env: Readonly<Record<string, string>>) {
  try {
    process.chdir(cwd)
  } catch (error) {
    throw new GuestError('not_found', `cannot enter ${cwd}: ${(error as Error).message}`)
  }
  try {
    return asSupervisor(() =>
      spawn(argv[0] as string, argv.slice(1), {
        detached: true,
        env: { ...env },
        stdio: ['pipe', 'pipe', 'pipe'],
        ...workloadIds(),
      }),
    )
  } finally {
    process.chdir('/')
  }
}
