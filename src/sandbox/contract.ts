/**
 * What the rest of Swarm may ask of a sandbox driver, whatever isolates behind it.
 *
 * Life of a sandbox: `spawn` → `exec`/`put`/`get`/`attach` … → `stop`. The coordinator may die at any point:
 * the sandbox lives on until its dead-man deadline, and the next coordinator gets it back with `adopt`. What
 * nobody adopts is removed by `gc`. A sandbox serves one ticket and is never reused.
 *
 * Inside runs the guest program, the same in every driver. It keeps the output of each exec in a ring buffer
 * with absolute offsets and keeps its exit status, so a reader that comes back reads on where it stopped.
 */
import type { Readable } from 'node:stream'
import type { SandboxId } from '../domain/id.ts'

export type SandboxDriver = {
  /** As configured: `bubblewrap`, `none`, `fake` … For people and records; decide by `capabilities` */
  readonly name: string
  readonly capabilities: SandboxCapabilities

  /** Really starts a sandbox that runs `true`, within its own deadline. Never throws for a missing part. */
  probe(signal: AbortSignal): Promise<ProbeResult>

  /** Makes what sandboxes are made from; the same spec gives the same template, built once. */
  prepareTemplate(
    spec: TemplateSpec,
    onEvent?: (event: TemplateEvent) => void,
    signal?: AbortSignal,
  ): Promise<Template>

  /**
   * Starts a sandbox. It resolves when the guest program has acknowledged its identity.
   * A failed or aborted spawn leaves nothing behind.
   * @throws SandboxError `sandbox_unavailable`, `spawn_failed`, `host_full`, `already_exists`
   */
  spawn(request: SpawnRequest, signal: AbortSignal): Promise<Sandbox>

  /**
   * Present where the driver can. A hint: starts a sandbox ahead, up to where it would learn whom it serves. The
   * `spawn` of this id takes it over when all that is said here is the same there, and starts anew when it is not,
   * or when this one has died. Until then it knows no ticket, no secret and no environment, runs nothing, appears in
   * no list, is kept by `gc`, and ends with this process, whatever way that ends.
   * @throws SandboxError as `spawn` does; nothing is left then
   */
  warm?(request: WarmRequest, signal: AbortSignal): Promise<WarmSandbox>

  /** Every sandbox of this driver that has a record on this host, living or not. */
  list(): Promise<readonly SandboxRecord[]>

  /** The living sandbox, reconnected; `undefined` when it is gone (then `gc` may remove its rest). */
  adopt(sandboxId: SandboxId, signal: AbortSignal): Promise<Sandbox | undefined>

  /**
   * Removes all that belongs to sandboxes not in `keep`: processes, limits, mounts, sockets, directories.
   * Safe at any time and twice; sandboxes this driver is just spawning are kept.
   */
  gc(keep: ReadonlySet<SandboxId>): Promise<GcReport>
}

export type EgressMode = 'none' | 'gateway'

export type SandboxCapabilities = {
  readonly memorySnapshot: boolean
  readonly fork: boolean
  /** `hard`: the kernel enforces memory, processes and CPU for the whole sandbox; `soft`: rlimits and a watchdog */
  readonly limits: 'hard' | 'soft'
  readonly egress: readonly EgressMode[]
  /** Whether `adopt` can find sandboxes of a coordinator that died */
  readonly adopt: boolean
  readonly isolation: 'namespaces' | 'none' | 'fake' | 'microvm'
}

export type ProbeResult =
  | {
      readonly ok: true
      readonly detail: Readonly<Record<string, string>>
      readonly warnings: readonly string[]
    }
  | {
      readonly ok: false
      /** What is missing, as a sentence */
      readonly reason: string
      /** What the operator can do: a command or a setting */
      readonly fix: string
      readonly detail: Readonly<Record<string, string>>
    }

export type TemplateSpec = {
  /** Directory used as the sandbox's root file system, read-only; left out: the host's `/usr` and friends */
  readonly rootDirectory?: string
}

export type Template = { readonly key: string; readonly driver: string; readonly spec: TemplateSpec }

export type TemplateEvent = { readonly kind: 'progress' | 'done'; readonly text: string }

export type SandboxLimits = {
  /** Memory of all processes together, `MiB` */
  readonly memoryMib: number
  /** Processes and threads at a time */
  readonly processCountMax: number
  /** Size of `/workspace`, `MiB`; the other writable places together have at most as much again */
  readonly diskMib: number
  /** CPUs it may use, such as `1.5`; left out: no limit. Enforced where limits are hard */
  readonly cpuCount?: number
}

export const DEFAULT_LIMITS: SandboxLimits = { memoryMib: 2048, processCountMax: 512, diskMib: 2048 }

export type SpawnRequest = {
  readonly sandboxId: SandboxId
  readonly template: Template
  readonly limits: SandboxLimits
  /** Environment of every exec; an exec's own wins. Placeholders only, never a real credential */
  readonly env: Readonly<Record<string, string>>
  /** Host directory that holds `gateway.sock`; left out: no way out at all */
  readonly gatewayDirectory?: string
  /** Host path → path inside, bound read-only */
  readonly readOnlyMounts?: Readonly<Record<string, string>>
  /** Name of the machine inside: letters, digits and hyphens */
  readonly hostname: string
  /** Time without renewal after which everything inside is killed from within, `ms` */
  readonly deadmanMs: number
  /** For people and lists: run, step, attempt … Kept in the record on disk */
  readonly labels: Readonly<Record<string, string>>
}

/** What of a spawn can be known before there is a ticket. */
export type WarmRequest = Pick<
  SpawnRequest,
  'sandboxId' | 'template' | 'limits' | 'gatewayDirectory' | 'readOnlyMounts' | 'hostname'
>

export type WarmSandbox = {
  readonly id: SandboxId
  /** Whether a spawn would still find it */
  isWaiting(): boolean
  /** Removes it, unless a spawn took it over. May be called twice */
  discard(): Promise<void>
}

export type SandboxRecord = {
  readonly sandboxId: SandboxId
  readonly driver: string
  readonly isAlive: boolean
  /** Instant of creation, `ms` since the epoch */
  readonly createdAt: number
  readonly labels: Readonly<Record<string, string>>
}

export type GcReport = {
  readonly removed: readonly SandboxId[]
  /** Processes that were still alive and were killed */
  readonly killedProcessCount: number
  /** What could not be removed, and why */
  readonly problems: readonly string[]
}

export type Sandbox = AsyncDisposable & {
  readonly id: SandboxId
  readonly driver: string
  /** Durations of the phases of its start, `ms`; after an adoption only `connect` */
  readonly timings: SandboxTimings

  /**
   * Starts a program, once per `execId`: asking again gives the running or finished one, whatever else the
   * request says. A command that cannot be started (absent, not executable) is an exec that exits with 127 or 126.
   */
  exec(request: ExecRequest): Promise<ExecStatus>

  /** State of an exec, `undefined` when this sandbox never saw it. */
  findExec(execId: string): Promise<ExecStatus | undefined>

  /**
   * Output from the given offsets on, then `exited`, then the end. Any number of readers, at any time, again
   * and again. Leaving the loop detaches and leaves the program alone. A lost sandbox ends it with `lost`.
   * While a reader keeps up nothing is dropped; one that stalls finds a `gap`.
   */
  attach(execId: string, options?: AttachOptions): AsyncIterable<ExecEvent>

  writeStdin(execId: string, data: Uint8Array | string): Promise<void>
  closeStdin(execId: string): Promise<void>

  /** Signals the process group of an exec; `SIGKILL` reaches its descendants too. Nothing happens when it ended. */
  signal(execId: string, signal: ExecSignal): Promise<void>

  /**
   * Unpacks a tar stream below `path` (made when absent). Files, directories and symbolic links only; an
   * entry that leads out of `path` is refused, as are devices, hard links and set-id bits.
   * @throws SandboxError `path_refused`, `disk_full`, `tar_invalid`
   */
  put(path: string, tar: Readable, signal?: AbortSignal): Promise<void>

  /** A tar stream of a file or directory; symbolic links are not followed. Errors arrive on the stream. */
  get(path: string, signal?: AbortSignal): Readable

  /** Writes one file, making its directories; replaces it when present. */
  putFile(path: string, data: Uint8Array | string, options?: { readonly mode?: number }): Promise<void>

  /** Bytes of one regular file. @throws SandboxError `not_found`, `not_a_file`, `too_large` */
  getFile(path: string, options: { readonly bytesMax: number }): Promise<Buffer>

  /** Sets the dead-man deadline to this long from now, `ms`. */
  renewDeadman(deadmanMs: number): Promise<void>

  usage(): Promise<SandboxUsage>

  /** Present where the driver can. */
  pause?(): Promise<void>
  resume?(): Promise<void>
  snapshot?(scope: 'disk' | 'memory'): Promise<Template>

  /**
   * Ends it: SIGTERM to everything, after `graceMs` SIGKILL, then every trace on the host is removed.
   * May be called twice, at once, and for one that is already gone.
   */
  stop(options: { readonly graceMs: number }): Promise<void>

  /** Resolves when the connection to the guest program ended, with the reason. Never rejects. */
  readonly disconnected: Promise<string>
}
// `Symbol.asyncDispose` closes the connection only: the sandbox lives on and can be adopted.

export type SandboxTimings = Readonly<
  Partial<Record<'record' | 'process' | 'connect' | 'identity' | 'ready', number>>
>

export type ExecRequest = {
  /** Key of idempotency, chosen by the caller: up to 200 letters, digits, `.`, `_`, `-`, `:` */
  readonly execId: string
  readonly argv: readonly string[]
  /** Left out: `/workspace` */
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** `open`: bytes follow with `writeStdin`; left out: empty input; bytes: these, then the end */
  readonly stdin?: 'open' | Uint8Array | string
  /** Time it may run, `ms`; then it is killed and exits with `limit: 'time'` */
  readonly timeoutMs?: number
  /** Time between SIGTERM and SIGKILL when its time is up, `ms`; default 2000 */
  readonly graceMs?: number
  /** Ring buffer of each stream, bytes; default 4 MiB */
  readonly ringBytes?: number
}

export type ExecSignal = 'SIGINT' | 'SIGTERM' | 'SIGKILL' | 'SIGHUP' | 'SIGUSR1' | 'SIGUSR2' | 'SIGQUIT'

/** Which limit ended it or stood in its way. */
export type LimitFired = 'memory' | 'processes' | 'disk' | 'time' | 'deadman'

export type ExecExit = {
  readonly code: number | null
  readonly signal: string | null
  readonly limit?: LimitFired
}

export type ExecStatus = {
  readonly execId: string
  readonly pid: number
  /** `true` when an earlier request with this `execId` had started it */
  readonly wasStarted: boolean
  /** Bytes it has printed so far */
  readonly stdoutEnd: number
  readonly stderrEnd: number
  /** Present when it ended */
  readonly exit?: ExecExit
}

export type AttachOptions = {
  /** Offset of the first byte wanted; default 0 */
  readonly stdoutOffset?: number
  readonly stderrOffset?: number
  readonly signal?: AbortSignal
}

export type ExecEvent =
  | { readonly kind: 'started'; readonly pid: number }
  | { readonly kind: 'stdout' | 'stderr'; readonly offset: number; readonly data: Buffer }
  /** Bytes `[from, to)` of a stream were overwritten before they were read */
  | { readonly kind: 'gap'; readonly stream: 'stdout' | 'stderr'; readonly from: number; readonly to: number }
  | ({ readonly kind: 'exited' } & ExecExit)
  /** The sandbox or the way to it is gone: nothing more is known about the exec */
  | { readonly kind: 'lost'; readonly reason: string }

export type SandboxUsage = {
  /** CPU time of all processes so far, `ms` */
  readonly cpuMs: number
  /** Memory of all processes now, bytes */
  readonly memoryBytes: number
  readonly processCount: number
  /** Bytes used in `/workspace` */
  readonly diskBytes: number
  /** Changes whenever a file in `/workspace` changed: compare two readings to see progress */
  readonly fileMarker: string
  /** Time left until the dead-man deadline, `ms` */
  readonly deadmanLeftMs: number
}

export type SandboxErrorCode =
  /** The host lacks what the driver needs; `fix` says what */
  | 'sandbox_unavailable'
  | 'spawn_failed'
  /** Too little memory or disk left on the host to start another one */
  | 'host_full'
  | 'already_exists'
  /** The sandbox is gone or the connection to it broke */
  | 'sandbox_lost'
  | 'request_invalid'
  | 'exec_unknown'
  | 'identity_required'
  | 'path_refused'
  | 'tar_invalid'
  | 'not_found'
  | 'not_a_file'
  | 'too_large'
  | 'disk_full'
  | 'protocol_error'
  | 'timed_out'
  | 'guest_failed'

export class SandboxError extends Error {
  readonly code: SandboxErrorCode
  readonly data: Readonly<Record<string, unknown>>
  /** What the operator can do, when there is something */
  readonly fix: string | undefined

  constructor(
    code: SandboxErrorCode,
    message: string,
    options: {
      readonly data?: Readonly<Record<string, unknown>>
      readonly fix?: string
      readonly cause?: unknown
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'SandboxError'
    this.code = code
    this.data = options.data ?? {}
    this.fix = options.fix
  }
}
