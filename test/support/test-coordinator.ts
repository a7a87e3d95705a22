/** A coordinator on a real store and faked sandboxes, with a hand on everything that may fail. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Coordinator, type CoordinatorSettings } from '../../src/coordinator/coordinator.ts'
import type { TicketId } from '../../src/domain/id.ts'
import type { Project } from '../../src/domain/project.ts'
import type { Ticket } from '../../src/domain/ticket.ts'
import type { EngineDeps, ForgeCatalogue, TrackerCatalogue } from '../../src/engine/ports.ts'
import { createGateway } from '../../src/gateway/create-gateway.ts'
import type { SandboxDriver } from '../../src/sandbox/contract.ts'
import { createFakeDriver } from '../../src/sandbox/fake/create-fake-driver.ts'
import type { Store, StoreWriter } from '../../src/store/contract.ts'
import { createLogFiles } from '../../src/store/log-files/log-files.ts'
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.ts'
import { parseWorkflow } from '../../src/workflow/parse-workflow.ts'
import { createLogCapture } from './ticket-scene.ts'
import { waitFor } from './wait-for.ts'

/** Called before each write; what it throws is what the store answers. */
export type OnWrite = (name: keyof StoreWriter, input: unknown) => void | Promise<void>

export type TestCoordinatorOptions = {
  readonly onWrite?: OnWrite
  readonly forges?: ForgeCatalogue
  readonly trackers?: TrackerCatalogue
  readonly mirrors?: CoordinatorSettings['trackers']
  readonly wrapDriver?: (driver: SandboxDriver) => SandboxDriver
  readonly leaseTtlMs?: number
}

export type TestCoordinator = AsyncDisposable & {
  readonly coordinator: Coordinator
  /** Without faults */
  readonly store: Store
  readonly project: Project
  readonly holder: string
  /** The state directory */
  readonly folder: string
  /** Moves the wall clock of everything but the faked sandboxes */
  moveClock(byMs: number): void
  log(): string
  register(text: string): Promise<void>
  createTicket(workflow: string): Promise<Ticket>
  waitForTicket(ticketId: TicketId, timeoutMs?: number): Promise<Ticket>
  start(): Promise<void>
}

const ENDED = ['done', 'failed', 'canceled']
const WAIT_MS = 15_000

export async function createTestCoordinator(options: TestCoordinatorOptions = {}): Promise<TestCoordinator> {
  const folder = await mkdtemp(join(tmpdir(), 'swarm-c-'))
  let offsetMs = 0
  const clock = { now: () => Date.now() + offsetMs }
  const store = await openSqliteStore({ path: join(folder, 'swarm.db'), clock, randomBytes })
  const holder = 'coordinator-under-test'
  const host = await store.write.registerHost({
    name: 'host',
    holder,
    pid: process.pid,
    bootId: 'boot',
    slotCount: 4,
  })
  const { logger, text } = createLogCapture()
  const driver = createFakeDriver({ clock, randomBytes })
  const leaseTtlMs = options.leaseTtlMs ?? 30_000
  const deps: EngineDeps = {
    store: options.onWrite === undefined ? store : withFaults(store, options.onWrite),
    logs: createLogFiles({ directory: join(folder, 'logs'), clock }),
    sandboxes: {
      driver: options.wrapDriver?.(driver) ?? driver,
      template: async () => await driver.prepareTemplate({}),
    },
    gateway: createGateway({ hosts: [], models: [], now: clock.now }),
    agents: { find: async () => undefined },
    forges: options.forges ?? { find: () => undefined },
    trackers: options.trackers ?? { find: () => undefined },
    settings: {
      hostId: host.id,
      holder,
      stateDir: folder,
      limits: { memoryMib: 64, processCountMax: 64, diskMib: 64 },
      attemptTimeoutMs: 60_000,
      deadmanMs: Math.floor(leaseTtlMs * 0.6),
      slotCount: 4,
      runRetry: { runCountMax: 1, backoffMs: 10, backoffMaxMs: 10 },
    },
    logger,
    random: { number: () => 0, bytes: (count) => randomBytes(count) },
  }
  const coordinator = new Coordinator(deps, {
    leaseTtlMs,
    pollIntervalMs: 200,
    handOffMs: 60_000,
    rules: [],
    trackers: options.mirrors ?? [],
  })
  const project = await store.write.createProject({ key: 'TST', name: 'Test', actor: 'test' })
  return {
    coordinator,
    store,
    project,
    holder,
    folder,
    moveClock: (byMs) => {
      offsetMs += byMs
    },
    log: text,
    async register(workflow) {
      const parsed = parseWorkflow(workflow)
      if (!parsed.ok)
        throw new Error(parsed.errors.map(({ line, message }) => `${line}: ${message}`).join('; '))
      const name = /^name: (\S+)$/m.exec(workflow)?.[1] ?? ''
      await store.write.registerWorkflow({
        name,
        version: '1',
        text: workflow,
        digest: name,
        source: 'registered',
        actor: 'test',
      })
    },
    createTicket: async (workflow) =>
      await store.write.createTicket({ projectId: project.id, title: 'Ticket', workflow, actor: 'test' }),
    waitForTicket: async (ticketId, timeoutMs = WAIT_MS) =>
      await waitFor(
        'the end of the ticket',
        async () => {
          const ticket = await store.read.findTicket({ ticketId })
          return ticket !== undefined && ENDED.includes(ticket.status) ? ticket : undefined
        },
        timeoutMs,
      ),
    start: async () => await coordinator.start(),
    async [Symbol.asyncDispose]() {
      await coordinator.stop('now')
      await store.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function withFaults(store: Store, onWrite: OnWrite): Store {
  const write = new Proxy(store.write, {
    get(target, name: keyof StoreWriter) {
      return async (input: never) => {
        await onWrite(name, input)
        return await (target[name] as (input: never) => Promise<unknown>)(input)
      }
    },
  })
  return new Proxy(store, {
    get(target, name) {
      if (name === 'write') return write
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
