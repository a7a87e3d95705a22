import { readdir } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { SwarmClient } from '../../src/client/client.ts'
import { createTestRepository } from '../support/test-repository.ts'
import { startTestSwarm, type TestSwarm } from '../support/test-swarm.ts'
import {
  getLastRun,
  listProcessesWith,
  registerSteps,
  waitForEnd,
  waitForTicketEnd,
} from '../support/ticket-scene.ts'
import { waitFor, waitForEvent } from '../support/wait-for.ts'

/** Cancelling is done for a person who waits. */
const CANCEL_MS = 5_000
const MARK = `swarm-cancel-${process.pid}`
const FOREVER = ['sh', '-c', 'trap "" TERM; while :; do sleep 1; done', MARK]

let swarm: TestSwarm
let client: SwarmClient
let silent: Server
let askedCount = 0

beforeAll(async () => {
  // A host that takes the connection and never says a word: what is asked of it lasts until it is canceled.
  silent = createServer(({ url }) => {
    if (url === '/never') askedCount++
  })
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const { port } = silent.address() as AddressInfo
  swarm = await startTestSwarm({
    // One that waits for its ticket would be left on purpose; what is looked for here is what a ticket leaves.
    config: `slots: 2
sandbox: { warm: 0 }
poll: { interval: 200ms }
egress: { allow-private: ['127.0.0.1:${port}'] }
`,
  })
  client = swarm.client
  const repository = await createTestRepository(swarm.directory, { 'README.md': '# Test\n' })
  await client.projects.create({
    key: 'CAN',
    name: 'Cancel',
    repositoryUrl: repository.path,
    forge: 'local',
  })
  await client.projects.create({
    key: 'SLOW',
    name: 'Silent remote',
    repositoryUrl: `http://127.0.0.1:${port}/origin.git`,
    forge: 'git',
  })
  await registerSteps(client, 'endless', [{ id: 'work', kind: 'run', command: FOREVER }])
  await registerSteps(client, 'approval', [{ id: 'ask', kind: 'approve', prompt: 'May I?' }])
  await registerSteps(client, 'signal', [{ id: 'sit', kind: 'wait', signal: 'go' }])
  await registerSteps(client, 'timer', [{ id: 'sit', kind: 'wait', for: '1h' }])
  await registerSteps(client, 'request', [{ id: 'ask', kind: 'http', url: `http://127.0.0.1:${port}/never` }])
  await registerSteps(client, 'retrying', [
    { id: 'work', kind: 'run', command: ['false'], retry: { max: 5, backoff: '1h', 'backoff-max': '1h' } },
  ])
  await registerSteps(client, 'parent', [{ id: 'child', kind: 'workflow', workflow: 'endless' }])
})
afterAll(async () => {
  silent.closeAllConnections()
  silent.close()
  await swarm[Symbol.asyncDispose]()
})
afterEach(async () => {
  expect(await listProcessesWith(MARK)).toEqual([])
  // What holds the daemon's own attention is freed too.
  await waitFor(
    'free slots',
    async () => {
      const { figures } = await client.health.get()
      return figures.heldRunCount === 0 ? true : undefined
    },
    5_000,
  )
})

/** Cancels the ticket and says what is left of it. */
async function cancel(key: string) {
  const startedAt = Date.now()
  await client.tickets.cancel(key, { detail: 'no longer wanted' })
  const ticket = await waitForTicketEnd(client, key, CANCEL_MS * 2)
  const tookMs = Date.now() - startedAt
  expect(ticket).toMatchObject({ status: 'canceled', reason: 'canceled_by_person' })
  expect(tookMs).toBeLessThan(CANCEL_MS)
  const { items } = await client.runs.list({ ticket: key })
  for (const { id } of items) {
    const run = await client.runs.get(id)
    expect(run).toMatchObject({ status: 'canceled', openWaits: [] })
    expect(run.lease.holder).toBeNull()
    expect(run.sandboxes.filter(({ status }) => status !== 'gone' && status !== 'lost')).toEqual([])
    expect(run.steps.filter(({ finishedAt }) => finishedAt === null)).toEqual([])
  }
  await expect.poll(() => readdir(join(swarm.directory, 'state', 'doors')).catch(() => [])).toEqual([])
  expect(await readdir(join(swarm.directory, 'state', 'sandboxes')).catch(() => [])).toEqual([])
  return { ticket, runCount: items.length }
}

async function file(
  workflow: string,
  more: { project?: string; dependsOn?: string[]; notBefore?: string } = {},
) {
  const { key } = await client.tickets.create({ project: 'CAN', title: workflow, workflow, ...more })
  return key
}

describe('a ticket that is canceled leaves nothing behind, within seconds:', () => {
  test('before it is claimed', async () => {
    const key = await file('endless', { notBefore: new Date(Date.now() + 3_600_000).toISOString() })
    expect((await cancel(key)).runCount).toBe(0)
  })

  test('while it is blocked by another one', async () => {
    const first = await file('endless', { notBefore: new Date(Date.now() + 3_600_000).toISOString() })
    const second = await file('endless', { dependsOn: [first] })
    expect((await client.tickets.get(second)).status).toBe('blocked')
    await cancel(second)
    await cancel(first)
  })

  test('while its repository is fetched', async () => {
    const key = await file('endless', { project: 'SLOW' })
    await waitForEvent(client, key, ({ type }) => type === 'run.claimed')
    await cancel(key)
  })

  test('while its sandbox is launched', async () => {
    const key = await file('endless')
    await waitForEvent(client, key, ({ type }) => type === 'sandbox.created')
    await cancel(key)
  })

  test('P3: while its program runs, which ignores SIGTERM', async () => {
    const key = await file('endless')
    await waitFor('its program', async () => (await listProcessesWith(MARK))[0], 10_000)
    await cancel(key)
  })

  test('by the run instead of the ticket', async () => {
    const key = await file('endless')
    await waitFor('its program', async () => (await listProcessesWith(MARK))[0], 10_000)
    await client.runs.cancel((await getLastRun(client, key)).id)
    expect((await waitForEnd(client, key, CANCEL_MS)).ticket.status).toBe('canceled')
  })

  test('while a child run runs', async () => {
    const key = await file('parent')
    await waitFor('the program of the child', async () => (await listProcessesWith(MARK))[0], 10_000)
    expect((await cancel(key)).runCount).toBe(2)
  })

  test('between two attempts', async () => {
    const key = await file('retrying')
    await waitForEvent(client, key, ({ type }) => type === 'step.retried')
    await cancel(key)
  })

  test('when its request was decided, and while it is under way', async () => {
    const decided = await file('request')
    await waitForEvent(client, decided, ({ type }) => type === 'effect.enqueued')
    await cancel(decided)
    const before = askedCount
    const asking = await file('request')
    await waitFor('its request', async () => (askedCount > before ? true : undefined), 10_000)
    await cancel(asking)
    // Nobody wants it any more: it is not sent again, and no person has to look at it.
    const { figures } = await client.health.get()
    expect(figures).toMatchObject({ pendingEffectCount: 0, deadEffectCount: 0 })
  })

  test.each(['approval', 'signal', 'timer'])('while it waits: %s', async (workflow) => {
    const key = await file(workflow)
    await waitFor(
      'waiting',
      async () => ((await client.tickets.get(key)).status === 'waiting' ? true : undefined),
      10_000,
    )
    await cancel(key)
  })
})
