/**
 * What drivers share whose sandbox is a process tree of this host with the guest program at its top: records,
 * start, adoption, removal. How the tree is isolated is the flavour's part.
 *
 * Order of a spawn: record → flavour's preparation (limits, files) → control socket → process → record again,
 * with the process → connection → identity. A crash anywhere leaves a record, so `gc` finds the rest: by the
 * recorded process, by the control groups, and by a marker in the arguments for the moment between the start of
 * a process and its record. A failure anywhere removes all of it at once.
 *
 * The first half, up to the second record, can be done ahead (`warm`): the guest program then waits, and `spawn`
 * only updates the record and goes on.
 */
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
  type WarmRequest,
  type WarmSandbox,
} from './contract.ts'
import type { GuestConnection } from './guest-connection.ts'
import { type BegunGuest, createGuestProcesses } from './guest-process.ts'
import { type GuestConfig, type GuestExit, parseNothing } from './guest-protocol-messages.ts'
import { createGuestSandbox } from './guest-sandbox.ts'
import { type HostProcesses, removeProcesses } from './host-processes.ts'
import {
  createRecord,
  findRecord,
  listRecordIds,
  removeRecord,
  removeUnfinishedRecords,
  type StoredRecord,
  updateRecord,
} from './sandbox-record.ts'
import { checkSpawnRequest, checkWarmRequest, refuseFullHost } from './spawn-request.ts'
import { parseTemplateSpec } from './template.ts'
import { createWarmGuests } from './warm-guests.ts'

/** Before the configuration on standard input: there is no ticket yet */
const TIME_TO_REHEARSE = '\n'
const ADOPT_TIMEOUT_MS = 5_000
const REMOVE_TIMEOUT_MS = 10_000
const STOP_REPLY_MS = 5_000

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
  /** Whether the guest program may try things out before it has a ticket: only where all it touches is its own */
  readonly rehearses: boolean
  probe(signal: AbortSignal): Promise<ProbeResult>
  /** Control groups the sandbox will be in; not yet made */
  cgroupsOf(sandboxId: SandboxId, limits: SandboxLimits): readonly string[]
  prepare(request: WarmRequest, directory: string): Promise<Preparation>
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
  const guests = createGuestProcesses(options, flavour, processes)
  const warmed = createWarmGuests((begun) => remove(begun.record))
  const reach = (step: SpawnStep, id: SandboxId) => options.onSpawnStep?.(step, id)

  async function spawn(request: SpawnRequest, signal: AbortSignal): Promise<Sandbox> {
    checkSpawnRequest(request)
    const startedAt = performance.now()
    return await exclusively(request.sandboxId, async () => {
      await refuseFullHost(stateDir)
      const begun = await warmed.take(request)
      if (begun !== undefined) {
        const sandbox = await spawnFrom(request, signal, { startedAt, begun }).catch(() => undefined)
        if (sandbox !== undefined) return sandbox
        // It was not to be relied on: another one is started, as if there had been none.
        signal.throwIfAborted()
      }
      return await spawnFrom(request, signal, { startedAt })
    })
  }

  async function exclusively<T>(id: SandboxId, work: () => Promise<T>): Promise<T> {
    if (spawning.has(id)) throw new SandboxError('already_exists', `sandbox ${id} is just being spawned`)
    spawning.add(id)
    try {
      return await work()
    } finally {
      spawning.delete(id)
    }
  }

  /** From the beginning, or from a guest program that waits. A failure leaves nothing. */
  async function spawnFrom(
    request: SpawnRequest,
    signal: AbortSignal,
    { startedAt, begun }: { readonly startedAt: number; readonly begun?: BegunGuest },
  ): Promise<Sandbox> {
    const id = request.sandboxId
    const timings: Partial<Record<keyof SandboxTimings, number>> = {}
    const done = (phase: keyof SandboxTimings) => {
      timings[phase] = performance.now() - startedAt
    }
    await reach('record', id)
    const record = begun === undefined ? toRecord(request) : { ...begun.record, ...toLabels(request) }
    await (begun === undefined ? createRecord : updateRecord)(stateDir, record)
    done('record')
    try {
      const guest = begun ?? (await guests.begin(request, record, signal, done))
      const connection = await guests.awaken(guest, request, signal, done)
      done('ready')
      return toSandbox(connection, record, timings)
    } catch (error) {
      await remove(record)
      signal.throwIfAborted()
      throw toSpawnError(error, flavour.name, id)
    }
  }

  async function warm(request: WarmRequest, signal: AbortSignal): Promise<WarmSandbox> {
    checkWarmRequest(request)
    return await exclusively(request.sandboxId, async () => {
      await refuseFullHost(stateDir)
      const record = toRecord({ ...request, labels: {} })
      await createRecord(stateDir, record)
      try {
        const begun = await guests.begin(request, record, signal, () => {})
        const limitError = await begun.limited
        if (limitError !== undefined) throw limitError
        if (flavour.rehearses) begun.stdin.write(TIME_TO_REHEARSE)
        return warmed.add(request, begun)
      } catch (error) {
        await remove(record)
        signal.throwIfAborted()
        throw toSpawnError(error, flavour.name, record.sandboxId)
      }
    })
  }

  function toRecord({ sandboxId, limits, labels }: WarmRequest & Pick<SpawnRequest, 'labels'>): StoredRecord {
    return {
      version: 1,
      driver: flavour.name,
      sandboxId,
      ...toLabels({ labels }),
      secret: randomBytes(32).toString('hex'),
      cgroups: flavour.cgroupsOf(sandboxId, limits),
    }
  }

  function toLabels({ labels }: Pick<SpawnRequest, 'labels'>): Pick<StoredRecord, 'labels' | 'createdAt'> {
    return { labels, createdAt: clock.now() }
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
    if (record?.driver !== flavour.name || warmed.has(sandboxId) || !(await isAlive(record))) return undefined
    const startedAt = performance.now()
    let connection: GuestConnection
    try {
      connection = await guests.connect(record, signal, ADOPT_TIMEOUT_MS)
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
      if (keep.has(id) || spawning.has(id) || warmed.has(id)) continue
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
    warm,
    adopt,
    gc,
    async list() {
      const ids = (await listRecordIds(stateDir)).filter((id) => !warmed.has(id))
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
