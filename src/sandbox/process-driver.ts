/**
 * What drivers share whose sandbox is a process tree of this host with the guest program at its top: records,
 * start, adoption, removal. How the tree is isolated is the flavour's part.
 *
 * Order of a spawn: record → flavour's preparation (limits, files) → control socket → process → record again,
 * with the process → connection → identity. A crash anywhere leaves a record, so `gc` finds the rest: by the
 * recorded process, by the control groups, and by a marker in the arguments for the moment between the start of
 * a process and its record. A failure anywhere removes all of it at once.
 */
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import type { SandboxId } from '../domain/id.ts'
import {
  DEFAULT_LIMITS,
  type ExecExit,
  type GcReport,
  type ProbeResult,
  type Sandbox,
  type SandboxCapabilities,
  type SandboxDriver,
  SandboxError,
  type SandboxLimits,
  type SandboxTimings,
  type SpawnRequest,
} from './contract.ts'
import { connectGuest, type GuestConnection } from './guest-connection.ts'
import {
  type GuestConfig,
  type GuestExit,
  parseIdentityAck,
  parseNothing,
} from './guest-protocol-messages.ts'
import { createGuestSandbox } from './guest-sandbox.ts'
import { type HostProcesses, removeProcesses } from './host-processes.ts'
import {
  createRecord,
  findRecord,
  listRecordIds,
  recordDirectory,
  removeRecord,
  removeUnfinishedRecords,
  type StoredRecord,
  updateRecord,
} from './sandbox-record.ts'
import { checkSpawnRequest, refuseFullHost } from './spawn-request.ts'
import { parseTemplateSpec } from './template.ts'

const CONNECT_TIMEOUT_MS = 20_000
const ADOPT_TIMEOUT_MS = 5_000
const REMOVE_TIMEOUT_MS = 10_000
const STOP_REPLY_MS = 5_000
const CONTROL_FD = 3

export const SPAWN_STEPS = [
  'record',
  'prepare',
  'socket',
  'process',
  'update',
  'connect',
  'identity',
] as const
export type SpawnStep = (typeof SPAWN_STEPS)[number]

export type ProcessDriverOptions = {
  /** Directory of the daemon's state; sandboxes live in `sandboxes/` below it */
  readonly stateDir: string
  /** The bundled guest program on this host */
  readonly guestProgramPath: string
  readonly clock: { now(): number }
  readonly randomBytes: (size: number) => Buffer
  /** Called before each step of a spawn; what it throws is a failure of that step */
  readonly onSpawnStep?: (step: SpawnStep, sandboxId: SandboxId) => void | Promise<void>
}

/** What a flavour decides about one sandbox. */
export type Preparation = {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Files it finds open, in order, on the descriptors after the control socket's */
  readonly inheritedFiles?: readonly string[]
  readonly config: Omit<
    GuestConfig,
    'sandboxId' | 'secret' | 'controlFd' | 'deadmanMs' | 'env' | 'hostPidNamespace'
  >
  /** Environment of every exec before the request's */
  readonly baseEnv: Readonly<Record<string, string>>
}

export type Flavour = {
  readonly name: string
  readonly capabilities: SandboxCapabilities
  probe(signal: AbortSignal): Promise<ProbeResult>
  /** Control groups the sandbox will be in; not yet made */
  cgroupsOf(sandboxId: SandboxId, limits: SandboxLimits): readonly string[]
  prepare(request: SpawnRequest, directory: string): Promise<Preparation>
  /** Puts the started process under its limits, beside its start; done before anything of a ticket runs */
  limitProcess?(pid: number, cgroups: readonly string[], signal: AbortSignal): Promise<void>
  mark?(cgroups: readonly string[]): Promise<string>
  explainExit?(exit: GuestExit, mark: string | undefined, cgroups: readonly string[]): Promise<ExecExit>
  /** Removes the limits; the processes are gone already */
  removeLimits(cgroups: readonly string[]): Promise<void>
  /** Removes limits that no record knows. @returns what could not be removed */
  removeStrayLimits(keep: ReadonlySet<string>): Promise<readonly string[]>
}

/** A driver made of a flavour and the doors to the system (from `platform`). */
export function createProcessDriver(
  options: ProcessDriverOptions,
  flavour: Flavour,
  processes: HostProcesses,
): SandboxDriver {
  const { stateDir, clock, randomBytes } = options
  const spawning = new Set<string>()
  const nextNonce = () => randomBytes(16).toString('hex')
  const reach = (step: SpawnStep, id: SandboxId) => options.onSpawnStep?.(step, id)

  async function spawn(request: SpawnRequest, signal: AbortSignal): Promise<Sandbox> {
    checkSpawnRequest(request)
    const id = request.sandboxId
    if (spawning.has(id)) throw new SandboxError('already_exists', `sandbox ${id} is just being spawned`)
    spawning.add(id)
    try {
      await refuseFullHost(stateDir)
      return await spawnRecorded(request, signal)
    } finally {
      spawning.delete(id)
    }
  }

  async function spawnRecorded(request: SpawnRequest, signal: AbortSignal): Promise<Sandbox> {
    const id = request.sandboxId
    const startedAt = performance.now()
    const timings: Partial<Record<keyof SandboxTimings, number>> = {}
    const done = (phase: keyof SandboxTimings) => {
      timings[phase] = performance.now() - startedAt
    }
    await reach('record', id)
    const record: StoredRecord = {
      version: 1,
      driver: flavour.name,
      sandboxId: id,
      createdAt: clock.now(),
      labels: request.labels,
      secret: randomBytes(32).toString('hex'),
      cgroups: flavour.cgroupsOf(id, request.limits),
    }
    const directory = await createRecord(stateDir, record)
    done('record')
    try {
      const connection = await start(request, record, directory, signal, done)
      done('ready')
      return toSandbox(connection, record, timings)
    } catch (error) {
      await remove(record)
      signal.throwIfAborted()
      throw toSpawnError(error, flavour.name, id)
    }
  }

  async function start(
    request: SpawnRequest,
    record: StoredRecord,
    directory: string,
    signal: AbortSignal,
    done: (phase: keyof SandboxTimings) => void,
  ): Promise<GuestConnection> {
    const id = record.sandboxId
    signal.throwIfAborted()
    await reach('prepare', id)
    const preparation = await flavour.prepare(request, directory)
    await reach('socket', id)
    const ended = new AbortController()
    let limited: Promise<Error | undefined> | undefined
    // Descriptors that the child inherits; ours are closed once it has them, or when it never comes to that.
    const inherited: (() => unknown)[] = []
    try {
      const listener = await processes.listenForChild(join(directory, 'guest.sock'))
      inherited.push(() => listener.release())
      const log = await open(join(directory, 'guest.log'), 'a', 0o600)
      inherited.push(() => log.close())
      const files: number[] = []
      for (const path of preparation.inheritedFiles ?? []) {
        const file = await open(path, 'r')
        inherited.push(() => file.close())
        files.push(file.fd)
      }
      await reach('process', id)
      signal.throwIfAborted()
      const child = processes.spawnProcess({
        argv: preparation.argv,
        env: preparation.env,
        stdio: ['pipe', log.fd, log.fd, listener.fd, ...files],
      })
      child.exited.finally(() => ended.abort(new Error('it ended before it was ready'))).catch(() => {})
      child.unref()
      const untilEnd = AbortSignal.any([signal, ended.signal])
      limited = flavour.limitProcess?.(child.pid, record.cgroups, untilEnd).then(
        () => undefined,
        (error: Error) => error,
      )
      child.stdin?.on('error', () => {})
      child.stdin?.end(JSON.stringify(await toGuestConfig(request, record, preparation)))
      await reach('update', id)
      if (child.pid < 0) await child.exited
      const identity = await processes.findProcessIdentity(child.pid)
      if (identity === undefined) throw new Error('it ended at once')
      await updateRecord(stateDir, { ...record, process: identity })
      done('process')
    } finally {
      for (const close of inherited) await close()
    }
    await reach('connect', id)
    const connection = await connect(record, signal, CONNECT_TIMEOUT_MS).catch(async (error: Error) => {
      const lastWords = await readGuestLog(directory)
      throw lastWords === '' ? error : new Error(`${error.message}: ${lastWords}`, { cause: error })
    })
    done('connect')
    try {
      await reach('identity', id)
      const limitError = await limited
      if (limitError !== undefined) throw limitError
      await identify(connection, request.hostname)
      done('identity')
      return connection
    } catch (error) {
      connection.close('the spawn failed')
      throw error
    }
  }

  async function toGuestConfig(
    { env, deadmanMs }: SpawnRequest,
    { sandboxId, secret }: StoredRecord,
    { config, baseEnv }: Preparation,
  ): Promise<GuestConfig> {
    return {
      ...config,
      sandboxId,
      secret,
      deadmanMs,
      controlFd: CONTROL_FD,
      env: { ...baseEnv, ...env },
      hostPidNamespace: await processes.readPidNamespace(),
    }
  }

  async function connect(
    record: StoredRecord,
    signal: AbortSignal,
    timeoutMs: number,
  ): Promise<GuestConnection> {
    const path = join(recordDirectory(stateDir, record.sandboxId), 'guest.sock')
    const stream: Duplex = await processes.connectUnixSocket(path, signal)
    const { sandboxId, secret } = record
    return await connectGuest({ stream, sandboxId, secret, nonce: nextNonce(), timeoutMs, signal })
  }

  async function identify(connection: GuestConnection, hostname: string): Promise<void> {
    const nonce = nextNonce()
    const entropy = randomBytes(64).toString('base64')
    const nowMs = Math.max(0, Math.round(clock.now()))
    const ack = await connection.request(
      { op: 'identity', entropy, nowMs, hostname, nonce },
      parseIdentityAck,
    )
    if (ack.nonce !== nonce) throw new SandboxError('protocol_error', 'the identity was not acknowledged')
  }

  function toSandbox(connection: GuestConnection, record: StoredRecord, timings: SandboxTimings): Sandbox {
    const { cgroups } = record
    const { mark, explainExit } = flavour
    return createGuestSandbox({
      connection,
      id: record.sandboxId,
      driver: flavour.name,
      timings,
      hooks: {
        ...(mark === undefined ? {} : { mark: () => mark(cgroups) }),
        ...(explainExit === undefined
          ? {}
          : { explainExit: (exit, text) => explainExit(exit, text, cgroups) }),
        async stop({ graceMs }) {
          if (connection.isOpen) {
            const options = { timeoutMs: graceMs + STOP_REPLY_MS }
            // Whatever it answers, or does not: what is left of it is killed next.
            await connection.request({ op: 'stop', graceMs }, parseNothing, options).catch(() => {})
          }
          const { problems } = await remove(record)
          if (problems.length > 0) {
            throw new SandboxError('guest_failed', `sandbox ${record.sandboxId}: ${problems.join('; ')}`)
          }
        },
      },
    })
  }

  /** Ends every process of it, then removes limits and directory; the record goes last. */
  async function remove(record: StoredRecord): Promise<{ killedCount: number; problems: string[] }> {
    const current = (await findRecord(stateDir, record.sandboxId)) ?? record
    const { killedCount, problems } = await removeProcesses(current, processes, REMOVE_TIMEOUT_MS)
    if (problems.length > 0) return { killedCount, problems }
    try {
      await flavour.removeLimits(record.cgroups)
      await removeRecord(stateDir, record.sandboxId)
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error))
    }
    return { killedCount, problems }
  }

  async function adopt(sandboxId: SandboxId, signal: AbortSignal): Promise<Sandbox | undefined> {
    const record = await findRecord(stateDir, sandboxId)
    if (record?.driver !== flavour.name || !(await isAlive(record))) return undefined
    const startedAt = performance.now()
    let connection: GuestConnection
    try {
      connection = await connect(record, signal, ADOPT_TIMEOUT_MS)
    } catch (error) {
      signal.throwIfAborted()
      // It ends between the look and the connection, or its guest program does not answer: not adoptable.
      if (error instanceof SandboxError || (error as NodeJS.ErrnoException).code !== undefined)
        return undefined
      throw error
    }
    if (connection.welcome?.hasIdentity !== true) {
      connection.close('its spawn never came to an end')
      return undefined
    }
    return toSandbox(connection, record, { connect: performance.now() - startedAt })
  }

  async function isAlive(record: StoredRecord): Promise<boolean> {
    return record.process !== undefined && (await processes.isProcessAlive(record.process))
  }

  async function gc(keep: ReadonlySet<SandboxId>): Promise<GcReport> {
    const removed: SandboxId[] = []
    const problems: string[] = []
    let killedProcessCount = 0
    for (const id of await listRecordIds(stateDir)) {
      if (keep.has(id) || spawning.has(id)) continue
      const record = (await findRecord(stateDir, id)) ?? unreadableRecord(id, flavour)
      if (record.driver !== flavour.name) continue
      const result = await remove(record)
      killedProcessCount += result.killedCount
      if (result.problems.length === 0) removed.push(id)
      else problems.push(...result.problems.map((problem) => `${id}: ${problem}`))
    }
    const known = new Set<string>([...(await listRecordIds(stateDir)), ...keep, ...spawning])
    await removeUnfinishedRecords(stateDir, spawning)
    problems.push(...(await flavour.removeStrayLimits(known)))
    return { removed, killedProcessCount, problems }
  }

  return {
    name: flavour.name,
    capabilities: flavour.capabilities,
    probe: (signal) => flavour.probe(signal),
    prepareTemplate: async (spec) => parseTemplateSpec(spec, flavour.name),
    spawn,
    adopt,
    gc,
    async list() {
      const ids = await listRecordIds(stateDir)
      const records = await Promise.all(ids.map((id) => findRecord(stateDir, id)))
      const ours = records.filter((record) => record?.driver === flavour.name) as StoredRecord[]
      return await Promise.all(
        ours.map(async (record) => ({
          sandboxId: record.sandboxId,
          driver: record.driver,
          isAlive: await isAlive(record),
          createdAt: record.createdAt,
          labels: record.labels,
        })),
      )
    },
  }
}

/** A directory whose record was torn: removed like any other, by what its id alone leads to. */
function unreadableRecord(sandboxId: SandboxId, flavour: Flavour): StoredRecord {
  const cgroups = flavour.cgroupsOf(sandboxId, { ...DEFAULT_LIMITS, cpuCount: 1 })
  return { version: 1, driver: flavour.name, sandboxId, createdAt: 0, labels: {}, secret: '', cgroups }
}

function toSpawnError(error: unknown, driver: string, sandboxId: string): SandboxError {
  if (error instanceof SandboxError && error.code !== 'sandbox_lost') return error
  const reason = error instanceof Error ? error.message : String(error)
  return new SandboxError('spawn_failed', `cannot start sandbox ${sandboxId} with ${driver}: ${reason}`, {
    data: { sandboxId, driver },
    fix: 'run `swarm doctor` to see what the driver lacks',
    cause: error,
  })
}

/** The last words of a guest program, for messages. */
async function readGuestLog(directory: string): Promise<string> {
  const text = await readFile(join(directory, 'guest.log'), 'utf8').catch(() => '')
  return text.slice(-2000).trim()
}
