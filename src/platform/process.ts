/** The door to other programs: argument arrays only, bounded in time and output, whole process groups. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'

export type RunProcessRequest = {
  /** Program and its arguments; never a shell string */
  readonly argv: readonly string[]
  readonly cwd?: string
  /** The whole environment; left out, only `PATH`, `HOME` and `LANG` of this process */
  readonly env?: Readonly<Record<string, string>>
  /** Bytes for its standard input; left out, the input is empty */
  readonly stdin?: string | Uint8Array
  /** Time it may take, `ms`; then its process group is killed */
  readonly timeoutMs: number
  readonly signal?: AbortSignal
  /** Bytes kept of each of stdout and stderr; the rest is read and dropped */
  readonly outputBytesMax: number
  readonly uid?: number
  readonly gid?: number
}

export type ProcessResult = {
  /** Exit code, `null` when a signal ended it */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: Buffer
  readonly stderr: Buffer
  readonly timedOut: boolean
  /** Whether output was dropped beyond `outputBytesMax` */
  readonly truncated: boolean
}

/** The program could not be started: absent, not executable, no memory. */
export class ProcessStartError extends Error {
  readonly code = 'process_start_failed'
  readonly program: string
  constructor(program: string, cause: unknown) {
    super(`cannot start ${program}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    this.name = 'ProcessStartError'
    this.program = program
  }
}

/**
 * Runs a program to its end. A non-zero exit and a time-out are results, not exceptions.
 * @throws ProcessStartError when it cannot be started; the signal's reason when aborted (the group is killed)
 */
export async function runProcess(request: RunProcessRequest): Promise<ProcessResult> {
  request.signal?.throwIfAborted()
  const child = spawnProcess({ ...request, stdio: ['pipe', 'pipe', 'pipe'] })
  const stdout = collect(child.stdout, request.outputBytesMax)
  const stderr = collect(child.stderr, request.outputBytesMax)
  child.stdin?.on('error', ignoreClosedPipe)
  child.stdin?.end(request.stdin ?? '')
  let timedOut = false
  const deadline = setTimeout(() => {
    timedOut = true
    child.killGroup('SIGKILL')
  }, request.timeoutMs)
  const abort = () => child.killGroup('SIGKILL')
  request.signal?.addEventListener('abort', abort, { once: true })
  try {
    const { code, signal } = await child.closed
    request.signal?.throwIfAborted()
    const truncated = stdout.truncated() || stderr.truncated()
    return { code, signal, stdout: stdout.bytes(), stderr: stderr.bytes(), timedOut, truncated }
  } finally {
    clearTimeout(deadline)
    request.signal?.removeEventListener('abort', abort)
  }
}

export type SpawnProcessRequest = {
  readonly argv: readonly string[]
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** As in Node: `pipe`, `ignore`, a file descriptor, a stream or a listening server to inherit */
  readonly stdio?: readonly ('pipe' | 'ignore' | 'inherit' | number | object)[]
  readonly uid?: number
  readonly gid?: number
}

export type ProcessExit = { readonly code: number | null; readonly signal: NodeJS.Signals | null }

export type SpawnedProcess = {
  readonly pid: number
  readonly stdin: Writable | null
  readonly stdout: Readable | null
  readonly stderr: Readable | null
  /** The program ended; its descendants may still hold the pipes. Rejects with `ProcessStartError` only */
  readonly exited: Promise<ProcessExit>
  /** The program ended and its pipes are closed */
  readonly closed: Promise<ProcessExit>
  /** Signals the whole process group; `false` when nothing is left of it */
  killGroup(signal: NodeJS.Signals): boolean
  /** Lets this process end while the other one runs on */
  unref(): void
}

/**
 * Starts a program as leader of its own session and process group. It outlives this process unless the
 * caller ends it: `killGroup`, then `await exited`.
 */
export function spawnProcess(request: SpawnProcessRequest): SpawnedProcess {
  const [program, ...args] = request.argv
  if (program === undefined || program === '') throw new ProcessStartError('', new Error('argv is empty'))
  let child: ChildProcess
  try {
    child = spawn(program, args, {
      detached: true,
      shell: false,
      windowsHide: true,
      env: { ...(request.env ?? minimalEnvironment()) },
      stdio: [...(request.stdio ?? ['ignore', 'ignore', 'ignore'])] as StdioOptions,
      ...(request.cwd === undefined ? {} : { cwd: request.cwd }),
      ...(request.uid === undefined ? {} : { uid: request.uid }),
      ...(request.gid === undefined ? {} : { gid: request.gid }),
    })
  } catch (error) {
    throw new ProcessStartError(program, error)
  }
  const exited = settle(child, 'exit', program)
  const closed = settle(child, 'close', program)
  // Both reject together when the start fails; a caller usually waits for one of them.
  exited.catch(() => {})
  closed.catch(() => {})
  return {
    pid: child.pid ?? -1,
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    exited,
    closed,
    killGroup: (signal) => (child.pid === undefined ? false : signalGroup(child.pid, signal)),
    unref: () => child.unref(),
  }
}

/** Signals one process; `false` when it is gone or not ours. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  return pid > 1 && trySignal(pid, signal)
}

/** Signals a process group by its leader's pid; `false` when nothing is left of it. */
export function signalGroup(leaderPid: number, signal: NodeJS.Signals): boolean {
  return leaderPid > 1 && trySignal(-leaderPid, signal)
}

function trySignal(target: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(target, signal)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ESRCH' || code === 'EPERM') return false
    throw error
  }
}

function settle(child: ChildProcess, event: 'exit' | 'close', program: string): Promise<ProcessExit> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new ProcessStartError(program, error)))
    child.once(event, (code: number | null, signal: NodeJS.Signals | null) => resolve({ code, signal }))
  })
}

function minimalEnvironment(): Record<string, string> {
  const { PATH, HOME, LANG } = process.env
  return {
    PATH: PATH ?? '/usr/local/bin:/usr/bin:/bin',
    LANG: LANG ?? 'C.UTF-8',
    ...(HOME === undefined ? {} : { HOME }),
  }
}

function collect(stream: Readable | null, bytesMax: number) {
  const chunks: Buffer[] = []
  let kept = 0
  let truncated = false
  stream?.on('data', (chunk: Buffer) => {
    const room = bytesMax - kept
    if (chunk.length > room) truncated = true
    if (room <= 0) return
    const part = chunk.length > room ? chunk.subarray(0, room) : chunk
    chunks.push(part)
    kept += part.length
  })
  return { bytes: () => Buffer.concat(chunks), truncated: () => truncated }
}

function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') throw error
}
