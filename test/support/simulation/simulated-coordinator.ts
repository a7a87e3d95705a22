import { Coordinator } from '../../../src/coordinator/coordinator.ts'
import type { EngineDeps } from '../../../src/engine/ports.ts'
import type { Logger } from '../../../src/platform/log.ts'
import type { AttemptLogs, LogPosition } from '../../../src/store/attempt-log.ts'
import type { Store } from '../../../src/store/contract.ts'
import { StoreError } from '../../../src/store/errors.ts'
import type { Tracker } from '../../../src/tracker/contract.ts'
import type { SeededRandom } from './seeded-random.ts'
import type { SimulatedMachine } from './simulated-machine.ts'
import { SIMULATED_FOLDER } from './virtual-runtime.ts'
import type { Process } from './virtual-time.ts'

/** Short, so that a lease passes often: everything else is as long as in the product */
export const LEASE_TTL_MS = 2_000
const DEADMAN_MS = LEASE_TTL_MS * 0.6
const POLL_INTERVAL_MS = 1_500
const HAND_OFF_MS = 3_000

export type CoordinatorSeatDeps = {
  readonly process: Process
  readonly store: Store
  readonly machine: SimulatedMachine
  readonly random: SeededRandom
  readonly tracker: Tracker
  readonly slotCount: number
  /** An error that was logged and is no answer of the store */
  readonly onMistake: (error: unknown, fact: string) => void
}

/** The product's coordinator on a simulated machine, registered and started. */
export async function startSimulatedCoordinator(deps: CoordinatorSeatDeps): Promise<Coordinator> {
  const { process, store, machine, random, tracker, slotCount } = deps
  const holder = process.name
  const host = await store.write.registerHost({
    name: machine.process.name,
    holder,
    pid: 1,
    bootId: 'boot',
    slotCount,
  })
  const driver = machine.driver(process)
  const engineDeps: EngineDeps = {
    store,
    logs: createMemoryLogs(machine),
    sandboxes: { driver, template: async () => await driver.prepareTemplate({}) },
    gateway: { openDoor: async () => DOOR, listModels: () => [] },
    agents: { find: async () => undefined },
    forges: { find: () => undefined },
    trackers: { find: (name) => (name === tracker.name ? tracker : undefined) },
    settings: {
      hostId: host.id,
      holder,
      stateDir: `${SIMULATED_FOLDER}/${machine.process.name}`,
      limits: { memoryMib: 64, processCountMax: 64, diskMib: 64 },
      attemptTimeoutMs: 60_000,
      deadmanMs: DEADMAN_MS,
      slotCount,
      runRetry: { runCountMax: 2, backoffMs: 200, backoffMaxMs: 200 },
    },
    logger: createMistakeLogger(deps.onMistake),
    random: { number: random.number, bytes: random.bytes },
  }
  const coordinator = new Coordinator(engineDeps, {
    leaseTtlMs: LEASE_TTL_MS,
    pollIntervalMs: POLL_INTERVAL_MS,
    handOffMs: HAND_OFF_MS,
    rules: [],
    trackers: [],
  })
  await coordinator.start()
  return coordinator
}

const DOOR = {
  socketPath: `${SIMULATED_FOLDER}/gateway.sock`,
  usage: () => ({
    inputTokens: 0,
    outputTokens: 0,
    cachedInputTokens: 0,
    requestCount: 0,
    deniedCount: 0,
  }),
  close: async () => {},
  [Symbol.asyncDispose]: async () => {},
}

/** Says nothing; a logged error that the store did not give is a mistake in Swarm. */
function createMistakeLogger(onMistake: (error: unknown, fact: string) => void): Logger {
  const logger: Logger = {
    debug: () => {},
    info: () => {},
    warn: () => {},
    error({ err }, fact) {
      if (!(err instanceof StoreError)) onMistake(err, fact)
    },
    child: () => logger,
  }
  return logger
}

/** Logs on the machine's disk: they are there after a restart, and on no other machine. */
const disks = new WeakMap<SimulatedMachine, Map<string, LogPosition>>()

function createMemoryLogs(machine: SimulatedMachine): AttemptLogs {
  const files = disks.get(machine) ?? new Map<string, LogPosition>()
  disks.set(machine, files)
  return {
    async open({ runId, stepKey, attempt }) {
      const name = `${runId} ${stepKey} ${attempt}`
      const change = (changes: Partial<LogPosition>) => files.set(name, { ...position(), ...changes })
      const position = () => files.get(name) ?? EMPTY_LOG
      return {
        get position() {
          return position()
        },
        async append(stream, data) {
          const { endOffset, stdoutOffset, stderrOffset } = position()
          change({
            endOffset: endOffset + data.length,
            stdoutOffset: stdoutOffset + (stream === 'stdout' ? data.length : 0),
            stderrOffset: stderrOffset + (stream === 'stderr' ? data.length : 0),
          })
        },
        async close() {
          change({ isClosed: true })
        },
      }
    },
    find: async ({ runId, stepKey, attempt }) => files.get(`${runId} ${stepKey} ${attempt}`),
    list: async () => [],
    async *read() {},
    remove: async () => {},
  }
}

const EMPTY_LOG: LogPosition = {
  endOffset: 0,
  stdoutOffset: 0,
  stderrOffset: 0,
  isTruncated: false,
  isClosed: false,
}
