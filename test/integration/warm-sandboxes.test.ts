import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Ticket } from '../../src/domain/ticket.ts'
import type { SandboxDriver } from '../../src/sandbox/contract.ts'
import { createTestSandboxDriver } from '../support/sandbox.ts'
import { createTestContext } from '../support/test-context.ts'
import { makeTestDirectory } from '../support/test-swarm.ts'
import { waitFor } from '../support/wait-for.ts'

const WORKFLOW = 'name: once\nversion: 1\nsteps:\n  - id: main\n    kind: run\n    command: [hostname]\n'

type Context = Awaited<ReturnType<typeof createTestContext>>

let directory: string
let real: SandboxDriver
let warmed: string[]
let spawned: string[]

beforeEach(async () => {
  directory = await makeTestDirectory()
  real = await createTestSandboxDriver('bubblewrap', join(directory, 'state'))
  warmed = []
  spawned = []
})
afterEach(async () => {
  await real.gc(new Set())
  await rm(directory, { recursive: true, force: true })
})

async function open(config: string, faults: { warm?: () => void } = {}): Promise<Context> {
  const driver: SandboxDriver = {
    ...real,
    async warm(request, signal) {
      faults.warm?.()
      if (real.warm === undefined) throw new Error('this driver starts nothing ahead')
      const warm = await real.warm(request, signal)
      warmed.push(request.sandboxId)
      return warm
    },
    async spawn(request, signal) {
      spawned.push(request.sandboxId)
      return await real.spawn(request, signal)
    },
  }
  const context = await createTestContext(directory, { driver, config })
  await context.registry.registerWorkflow(WORKFLOW, { actor: 'test' })
  await context.store.write.createProject({ key: 'WEB', name: 'Web', actor: 'test' })
  await context.coordinator.start()
  return context
}

async function close(context: Context): Promise<void> {
  await context.coordinator.stop('now')
  await context.close()
}

async function runTicket({ store }: Context): Promise<Ticket> {
  const project = await store.read.findProject({ key: 'WEB' })
  if (project === undefined) throw new Error('there is no project')
  const { id } = await store.write.createTicket({
    projectId: project.id,
    title: 'Say your name',
    workflow: 'once',
    actor: 'test',
  })
  return await waitFor('the end of the ticket', async () => {
    const ticket = await store.read.findTicket({ ticketId: id })
    return ticket?.status === 'done' || ticket?.status === 'failed' ? ticket : undefined
  })
}

const untilWarmed = async (count: number) =>
  await waitFor(`sandbox ${count} started ahead`, async () => (warmed.length >= count ? true : undefined))

test('U11: each ticket runs in the sandbox that was started ahead, which serves no other one', async () => {
  const context = await open('sandbox: { warm: 1 }\n')
  try {
    for (const count of [1, 2, 3]) {
      await untilWarmed(count)
      expect((await runTicket(context)).status).toBe('done')
    }
    await untilWarmed(4)
    expect(spawned).toEqual(warmed.slice(0, 3))
    expect(new Set(warmed).size).toBe(4)
  } finally {
    await close(context)
  }
  expect(await readdir(join(directory, 'state', 'sandboxes'))).toEqual([])
  expect(await readdir(join(directory, 'state', 'doors'))).toEqual([])
})

test('tickets that come together, or when nothing can be started ahead, run all the same', async () => {
  const context = await open('slots: 3\n', {
    warm: () => {
      throw new Error('injected')
    },
  })
  try {
    const tickets = await Promise.all([runTicket(context), runTicket(context), runTicket(context)])
    expect(tickets.map(({ status }) => status)).toEqual(['done', 'done', 'done'])
    expect(warmed).toEqual([])
    expect(new Set(spawned).size).toBe(3)
  } finally {
    await close(context)
  }
})

test('a killed coordinator leaves none that waits: the next start removes it and takes over nothing of it', async () => {
  const dead = await open('sandbox: { warm: 1 }\n')
  await untilWarmed(1)
  const [left] = warmed
  // As after a kill: nothing is stopped, and another driver finds only what is on disk.
  await dead.close()
  real = await createTestSandboxDriver('bubblewrap', join(directory, 'state'))
  const {
    store,
    coordinator,
    close: closeStore,
  } = await createTestContext(directory, {
    driver: real,
    config: 'sandbox: { warm: 0 }\n',
  })
  try {
    await coordinator.start()
    expect(await readdir(join(directory, 'state', 'sandboxes'))).toEqual([])
    expect(await readdir(join(directory, 'state', 'doors'))).not.toContain(left)
    expect(await store.read.listSandboxEntries({ isLive: true })).toEqual([])
  } finally {
    await coordinator.stop('now')
    await closeStore()
    await dead.coordinator.stop('now').catch(() => {})
  }
})
