import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { TicketId } from '../src/domain/id.ts'
import type { Project } from '../src/domain/project.ts'
import type { SandboxTimings } from '../src/sandbox/contract.ts'
import type { Store } from '../src/store/contract.ts'
import { createTestSandboxDriver } from '../test/support/sandbox.ts'
import { createTestContext } from '../test/support/test-context.ts'
import { makeTestDirectory } from '../test/support/test-swarm.ts'
import { measureDriver, type SandboxMarks } from './measured-driver.ts'
import { queueOthers } from './queue-others.ts'

/** Instants of one ticket's way, of `performance.now()`. */
export type TicketMarks = {
  readonly createAskedAt: number
  readonly claimedAt: number
  readonly spawnAskedAt: number
  readonly spawnedAt: number
  readonly startedAt: number
  readonly doneAt: number
  readonly timings: SandboxTimings
}

/** A coordinator with its store, engine, gateway and real sandboxes, in this process. */
export type MeasuredSwarm = AsyncDisposable & {
  /** Creates a ticket, waits until it is done, and tells when what happened. */
  runTicket(): Promise<TicketMarks>
}

const WORKFLOW = `name: bench
version: 1
steps:
  - id: main
    kind: run
    command: ['/bin/true']
`
const TICKET_TIMEOUT_MS = 120_000
const NEVER = Date.UTC(2100, 0)

/**
 * @param slotCount runs held at a time
 * @param queuedCount pending tickets of a lower priority whose time has not come, so that the coordinator has to look
 *   past them at every claim and never takes one
 */
export async function startMeasuredSwarm(input: {
  slotCount: number
  queuedCount: number
}): Promise<MeasuredSwarm> {
  const directory = await makeTestDirectory()
  const stateDir = join(directory, 'state')
  const sandboxMarks = new Map<string, SandboxMarks>()
  const real = await createTestSandboxDriver('bubblewrap', stateDir)
  const driver = measureDriver(real, (ticket, marks) => sandboxMarks.set(ticket, marks))
  const open = () => createTestContext(directory, { driver, config: `slots: ${input.slotCount}\n` })

  const first = await open()
  const project = await prepare(first.store)
  await first.close()
  await queueOthers({
    path: join(stateDir, 'swarm.db'),
    open: async () => (await open()).store,
    projectId: project.id,
    count: input.queuedCount,
    notBefore: NEVER,
  })
  const context = await open()
  await context.coordinator.start()
  const watch = watchTickets(context.store)

  return {
    async runTicket() {
      const createAskedAt = performance.now()
      const ticket = await context.store.write.createTicket({
        projectId: project.id,
        title: 'measured',
        workflow: 'bench',
        priority: 1,
        actor: 'bench',
      })
      const { claimedAt, doneAt } = await watch.waitUntilDone(ticket.id)
      const marks = sandboxMarks.get(ticket.key)
      if (marks === undefined) throw new Error(`${ticket.key} was done without a sandbox`)
      return { createAskedAt, claimedAt, doneAt, ...marks }
    },
    async [Symbol.asyncDispose]() {
      await context.coordinator.stop('now')
      await context.close()
      await real.gc(new Set())
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function prepare(store: Store): Promise<Project> {
  await store.write.registerWorkflow({
    name: 'bench',
    version: '1',
    text: WORKFLOW,
    digest: 'bench',
    source: 'registered',
    actor: 'bench',
  })
  return await store.write.createProject({ key: 'BENCH', name: 'Bench', actor: 'bench' })
}

/** The store calls back after the commit: that is when an event has happened. */
function watchTickets(store: Store) {
  const claimed = new Map<TicketId, number>()
  const ended = new Map<TicketId, { readonly type: string; readonly at: number }>()
  store.subscribe((events) => {
    const at = performance.now()
    for (const { type, ticketId } of events) {
      if (ticketId === null) continue
      if (type === 'run.claimed') claimed.set(ticketId, at)
      if (type === 'ticket.done' || type === 'ticket.failed') ended.set(ticketId, { type, at })
    }
  })
  return {
    async waitUntilDone(ticketId: TicketId): Promise<{ claimedAt: number; doneAt: number }> {
      const deadline = performance.now() + TICKET_TIMEOUT_MS
      while (!ended.has(ticketId)) {
        if (performance.now() > deadline) throw new Error(`ticket ${ticketId} was not done in time`)
        await delay(5)
      }
      const end = ended.get(ticketId)
      const claimedAt = claimed.get(ticketId)
      if (end?.type !== 'ticket.done' || claimedAt === undefined) {
        throw new Error(`ticket ${ticketId} ended with ${end?.type}`)
      }
      return { claimedAt, doneAt: end.at }
    },
  }
}
