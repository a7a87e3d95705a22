/**
 * A machine with sandboxes, as a small model: a sandbox is alive from the moment in which its start is asked for until
 * it is stopped, vanishes, or its dead-man deadline passes, whatever becomes of the coordinator that started it.
 * What is said to it is there at once. So a coordinator that is frozen in the instant between working out a dead-man
 * deadline and saying it is not among what is simulated.
 */
import type { SandboxId } from '../../../src/domain/id.ts'
import {
  type ExecEvent,
  type ExecExit,
  type ExecStatus,
  type Sandbox,
  type SandboxDriver,
  SandboxError,
  type SpawnRequest,
} from '../../../src/sandbox/contract.ts'
import { MANUAL_CLOCK_START } from '../manual-clock.ts'
import type { SeededRandom } from './seeded-random.ts'
import { NEVER } from './simulated-store.ts'
import { Process, type Turn, type VirtualTime } from './virtual-time.ts'

/** What is seen of sandboxes from outside. */
export type SandboxWatcher = {
  onSpawn(sandbox: SimulatedSandbox): void
  /** The step's own command begins */
  onExec(sandbox: SimulatedSandbox): void
}

export type MachineDeps = {
  readonly time: VirtualTime
  readonly random: SeededRandom
  readonly watcher: SandboxWatcher
  /** Whether something of this kind goes wrong now */
  readonly goesWrong: (probability: number) => boolean
}

const OUTPUT = Buffer.from('done\n')

export class SimulatedSandbox {
  readonly id: SandboxId
  readonly machine: string
  /** Coordinator that started it */
  readonly startedBy: string
  readonly labels: SpawnRequest['labels']
  readonly createdAt: number
  readonly execs = new Map<string, { readonly pid: number; exit: ExecExit | undefined }>()
  readonly #deps: MachineDeps
  readonly #host: Process
  readonly #waiting = new Set<() => void>()
  #deadman: Turn | undefined
  #isAlive = true

  constructor(deps: MachineDeps, host: Process, request: SpawnRequest, startedBy: string) {
    this.#deps = deps
    this.#host = host
    this.id = request.sandboxId
    this.machine = host.name
    this.startedBy = startedBy
    this.labels = request.labels
    this.createdAt = MANUAL_CLOCK_START + deps.time.now
    this.renew(request.deadmanMs)
  }

  get isAlive(): boolean {
    return this.#isAlive
  }

  /** The step instance that it works for */
  get key(): string {
    return `${this.labels.run} ${this.labels.step}`
  }

  renew(deadmanMs: number): void {
    if (this.#deadman !== undefined) this.#deadman.isCanceled = true
    this.#deadman = this.#deps.time.schedule(this.#host, deadmanMs, () => this.end())
  }

  end(): void {
    this.#isAlive = false
    if (this.#deadman !== undefined) this.#deadman.isCanceled = true
    this.#ring()
  }

  exec(execId: string, timeoutMs: number): ExecStatus {
    const known = this.execs.get(execId)
    if (known !== undefined) return toStatus(execId, known, true)
    const { time, random, goesWrong, watcher } = this.#deps
    const exec = { pid: this.execs.size + 1, exit: undefined as ExecExit | undefined }
    this.execs.set(execId, exec)
    watcher.onExec(this)
    const lengthMs = random.chance(0.3) ? random.integer(400, 1_500) : random.integer(10, 300)
    const code = goesWrong(0.08) ? 1 : 0
    const vanishes = goesWrong(0.04)
    time.schedule(this.#host, Math.min(lengthMs, timeoutMs), () => {
      if (vanishes) return this.end()
      exec.exit = { code, signal: null }
      this.#ring()
    })
    return toStatus(execId, exec, false)
  }

  /** Resolves when something changed, or the signal aborts. */
  async change(process: Process, signal: AbortSignal | undefined): Promise<void> {
    await new Promise<void>((resolve) => {
      const ring = () => {
        this.#waiting.delete(ring)
        this.#deps.time.schedule(process, 0, resolve)
      }
      this.#waiting.add(ring)
      signal?.addEventListener('abort', ring, { once: true })
    })
  }

  #ring(): void {
    for (const ring of [...this.#waiting]) ring()
  }
}

function toStatus(
  execId: string,
  { pid, exit }: { pid: number; exit: ExecExit | undefined },
  wasStarted: boolean,
): ExecStatus {
  const end = exit === undefined ? {} : { exit }
  return {
    execId,
    pid,
    wasStarted,
    stdoutEnd: exit === undefined ? 0 : OUTPUT.length,
    stderrEnd: 0,
    ...end,
  }
}

export class SimulatedMachine {
  readonly process: Process
  readonly #deps: MachineDeps
  readonly #sandboxes = new Map<SandboxId, SimulatedSandbox>()

  constructor(deps: MachineDeps, name: string) {
    this.#deps = deps
    this.process = new Process(name)
  }

  get sandboxes(): readonly SimulatedSandbox[] {
    return [...this.#sandboxes.values()]
  }

  /** Everything that runs on it ends; its disk stays. */
  cutPower(): void {
    for (const sandbox of this.#sandboxes.values()) sandbox.end()
  }

  /** The driver as one coordinator on this machine has it. */
  driver(process: Process): SandboxDriver {
    const { random } = this.#deps
    const call = async (maxMs: number) => {
      if (process.isGone) await NEVER
      await this.#deps.time.pass(process, random.integer(0, maxMs))
    }
    return {
      name: 'simulated',
      capabilities: {
        memorySnapshot: false,
        fork: false,
        limits: 'soft',
        egress: ['none'],
        adopt: true,
        isolation: 'fake',
      },
      probe: async () => ({ ok: true, detail: {}, warnings: [] }),
      prepareTemplate: async (spec) => ({ key: 'simulated', driver: 'simulated', spec }),
      spawn: async (request, signal) => {
        if (process.isGone) await NEVER
        signal.throwIfAborted()
        if (!(request.deadmanMs >= 1)) {
          throw new SandboxError('request_invalid', 'its dead-man deadline is no time')
        }
        const sandbox = new SimulatedSandbox(this.#deps, this.process, request, process.name)
        this.#sandboxes.set(request.sandboxId, sandbox)
        this.#deps.watcher.onSpawn(sandbox)
        await call(80)
        if (sandbox.isAlive && !signal.aborted && !this.#deps.goesWrong(0.03)) {
          return this.#connect(sandbox, process, call)
        }
        sandbox.end()
        this.#sandboxes.delete(sandbox.id)
        signal.throwIfAborted()
        throw new SandboxError('spawn_failed', 'it did not start')
      },
      list: async () => {
        await call(3)
        return this.sandboxes.map(({ id, isAlive, createdAt, labels }) => ({
          sandboxId: id,
          driver: 'simulated',
          isAlive,
          createdAt,
          labels,
        }))
      },
      adopt: async (sandboxId) => {
        await call(5)
        const sandbox = this.#sandboxes.get(sandboxId)
        return sandbox?.isAlive === true ? this.#connect(sandbox, process, call) : undefined
      },
      gc: async (keep) => {
        await call(5)
        const removed = [...this.#sandboxes.keys()].filter((id) => !keep.has(id))
        for (const id of removed) this.#remove(id)
        return { removed, killedProcessCount: 0, problems: [] }
      },
    }
  }

  #remove(id: SandboxId): void {
    this.#sandboxes.get(id)?.end()
    this.#sandboxes.delete(id)
  }

  #connect(sandbox: SimulatedSandbox, process: Process, call: (maxMs: number) => Promise<void>): Sandbox {
    // What is said to a sandbox of the same machine is there at once, also when who said it is frozen then.
    const mustBeThere = () => {
      if (process.isGone || !sandbox.isAlive) throw new SandboxError('sandbox_lost', 'the sandbox is gone')
    }
    const unused = (what: string) => () => {
      throw new Error(`the simulation has no ${what}`)
    }
    const living = async (maxMs: number) => {
      await call(maxMs)
      mustBeThere()
    }
    return {
      id: sandbox.id,
      driver: 'simulated',
      timings: {},
      exec: async ({ execId, timeoutMs }) => {
        mustBeThere()
        const status = sandbox.exec(execId, timeoutMs ?? 60_000)
        await call(5)
        return status
      },
      findExec: async (execId) => {
        await living(5)
        const exec = sandbox.execs.get(execId)
        return exec === undefined ? undefined : toStatus(execId, exec, true)
      },
      attach: (execId, options = {}) => attach(sandbox, process, execId, options),
      putFile: async () => await living(5),
      renewDeadman: async (deadmanMs) => {
        mustBeThere()
        sandbox.renew(deadmanMs)
        await call(3)
      },
      stop: async () => {
        await call(20)
        this.#remove(sandbox.id)
      },
      disconnected: NEVER,
      [Symbol.asyncDispose]: async () => {},
      writeStdin: unused('standard input'),
      closeStdin: unused('standard input'),
      signal: unused('signals'),
      put: unused('archives'),
      get: unused('archives'),
      getFile: unused('files'),
      usage: unused('usage'),
    }
  }
}

async function* attach(
  sandbox: SimulatedSandbox,
  process: Process,
  execId: string,
  { stdoutOffset = 0, signal }: { stdoutOffset?: number; signal?: AbortSignal },
): AsyncIterable<ExecEvent> {
  for (;;) {
    const exec = sandbox.execs.get(execId)
    if (signal?.aborted === true) return
    if (!sandbox.isAlive || exec === undefined) {
      yield { kind: 'lost', reason: 'the sandbox is gone' }
      return
    }
    if (exec.exit !== undefined) {
      const data = OUTPUT.subarray(stdoutOffset)
      if (data.length > 0) yield { kind: 'stdout', offset: stdoutOffset, data }
      yield { kind: 'exited', ...exec.exit }
      return
    }
    await sandbox.change(process, signal)
  }
}
