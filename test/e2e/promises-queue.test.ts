import { rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { SwarmClient } from '../../src/client/client.ts'
import { type DaemonProcess, startDaemonProcess } from '../support/daemon-process.ts'
import { expectProblem } from '../support/expect-problem.ts'
import { createTestRepository } from '../support/test-repository.ts'
import { makeTestDirectory, startTestSwarm, type TestSwarm, writeTestConfig } from '../support/test-swarm.ts'
import {
  endTicket,
  getLastRun,
  getStep,
  ONCE,
  registerSteps,
  waitForEnd,
  waitForTicketEnd,
} from '../support/ticket-scene.ts'
import { waitFor, waitForEvent, waitForTicket } from '../support/wait-for.ts'

let swarm: TestSwarm
let client: SwarmClient
const CONFIG = `slots: 1
poll: { interval: 200ms }
retry: { runs: 2, backoff: 1s, backoff-max: 2s }
`

beforeAll(async () => {
  swarm = await startTestSwarm({ config: CONFIG })
  client = swarm.client
  const { path: repositoryUrl } = await createTestRepository(swarm.directory, { 'value.txt': 'old\n' })
  await client.projects.create({ key: 'QUE', name: 'Queue', repositoryUrl, forge: 'local' })
  await registerSteps(client, 'quick', [{ id: 'work', kind: 'run', command: ['true'] }])
  await registerSteps(client, 'fails', [{ id: 'work', kind: 'run', command: ['false'], retry: ONCE }])
  await registerSteps(client, 'sleeps', [{ id: 'work', kind: 'run', command: ['sleep', '1'] }])
  await registerSteps(client, 'flaky', [
    {
      id: 'work',
      kind: 'run',
      command: ['sh', '-c', 'test "$SWARM_ATTEMPT" = 3'],
      retry: { max: 2, backoff: '700ms', 'backoff-max': '700ms' },
    },
  ])
  await registerSteps(client, 'ask', [{ id: 'ask', kind: 'approve', prompt: 'May I?' }])
})
afterAll(async () => {
  await swarm[Symbol.asyncDispose]()
})

const create = (workflow: string, more: object = {}) =>
  client.tickets.create({ project: 'QUE', title: workflow, workflow, ...more })

describe('dependencies', () => {
  test('U10: finishing a ticket unblocks its dependents in the same transaction', async () => {
    const first = await create('quick')
    const second = await create('quick', { dependsOn: [first.key] })
    const third = await create('quick', { dependsOn: [first.key, second.key] })
    expect([second.status, third.status]).toEqual(['blocked', 'blocked'])
    expect((await waitForEnd(client, third.key)).ticket.status).toBe('done')
    const { items } = await client.events.list({ limit: 1000 })
    const seqOf = (type: string, id: string) =>
      items.find((event) => event.type === type && event.ticketId === id)
    const done = seqOf('ticket.done', first.id)
    const unblocked = seqOf('ticket.unblocked', second.id)
    // One transaction: one instant, next to each other.
    expect(unblocked?.at).toBe(done?.at)
    expect((unblocked?.seq ?? 0) - (done?.seq ?? 0)).toBeLessThan(4)
    const ran = async (key: string) => Date.parse((await getLastRun(client, key)).startedAt ?? '')
    expect(await ran(second.key)).toBeGreaterThanOrEqual(Date.parse(done?.at ?? ''))
  })

  test('U10: a failed or canceled dependency flags its dependents, and a retry takes the flag away', async () => {
    const first = await create('fails')
    const second = await create('quick', { dependsOn: [first.key] })
    await waitForEnd(client, first.key)
    await waitFor(
      'the flag',
      async () => ((await client.tickets.get(second.key)).reason === 'dependency_failed' ? true : undefined),
      5_000,
    )
    await client.tickets.retry(first.key)
    expect(await client.tickets.get(second.key)).toMatchObject({ reason: 'dependency_open' })
    await waitForEnd(client, first.key)
    await client.tickets.cancel(second.key)

    const third = await create('quick', { isDraft: true })
    const fourth = await create('quick', { dependsOn: [third.key] })
    await client.tickets.cancel(third.key)
    const flagged = { status: 'blocked', reason: 'dependency_canceled' }
    expect(await client.tickets.get(fourth.key)).toMatchObject(flagged)
    await client.tickets.retry(third.key)
    expect((await waitForEnd(client, fourth.key)).ticket.status).toBe('done')
  })

  test('U10: a cycle is refused, and changes nothing', async () => {
    const first = await create('quick', { isDraft: true })
    const second = await create('quick', { isDraft: true, dependsOn: [first.key] })
    await expectProblem(
      client.tickets.setDependencies(first.key, first.version, { dependsOn: [second.key] }),
      422,
      'dependency_cycle',
    )
    expect((await client.tickets.listDependencies(first.key)).dependsOn).toEqual([])
  })
})

describe('retry and dead letters', () => {
  test('U9: a retry never starts before its time', async () => {
    const { run } = await endTicket(client, { project: 'QUE', title: 'flaky', workflow: 'flaky' })
    const { attempts, status } = getStep(run, 'work')
    expect(status).toBe('succeeded')
    expect(attempts.map((attempt) => attempt.status)).toEqual(['failed', 'failed', 'succeeded'])
    for (const [index, attempt] of attempts.entries()) {
      const before = attempts[index - 1]
      if (before === undefined) continue
      const waitedMs = Date.parse(attempt.startedAt) - Date.parse(before.finishedAt ?? '')
      expect(waitedMs).toBeGreaterThanOrEqual(700)
    }
  })

  test('work that did not pass gets a further run with what was wrong, then is a dead letter until a person asks', async () => {
    await registerSteps(client, 'rejected', [
      {
        id: 'work',
        kind: 'agent',
        agent: 'script',
        with: {
          command: ['sh', '-c', 'echo "$1"; echo x >> value.txt', 'sh', `feedback: \${run.feedback}`],
        },
      },
      {
        id: 'verify',
        kind: 'verify',
        needs: ['work'],
        commands: [['sh', '-c', 'echo the-check-says-no; exit 1']],
      },
    ])
    const { ticket, run } = await endTicket(
      client,
      { project: 'QUE', title: 'no', workflow: 'rejected' },
      30_000,
    )
    expect(ticket).toMatchObject({ status: 'failed', reason: 'verification_failed', runCount: 2 })
    expect(ticket.deadAt).not.toBeNull()
    expect(run.number).toBe(2)
    expect(getStep(run, 'work').outputs?.stdout).toContain('the-check-says-no')
    // The second run went on with the work of the first.
    const { items } = await client.runs.list({ ticket: ticket.key })
    const first = await client.runs.get(items.find(({ number }) => number === 1)?.id ?? '')
    expect(getStep(run, 'work').attempts[0]?.baseCommit).toBe(
      getStep(first, 'work').attempts[0]?.resultCommit,
    )
    expect(Date.parse(run.createdAt) - Date.parse(first.finishedAt ?? '')).toBeGreaterThanOrEqual(1_000)

    const dead = (await client.tickets.list({ dead: true })).items.map(({ key }) => key)
    expect(dead).toContain(ticket.key)
    await client.tickets.retry(ticket.key)
    const again = await waitForTicketEnd(client, ticket.key, 30_000)
    expect(again).toMatchObject({ status: 'failed' })
    expect((await client.runs.list({ ticket: ticket.key })).items.length).toBeGreaterThan(2)
  })

  test('what repeating cannot help is not repeated', async () => {
    const { ticket } = await endTicket(client, { project: 'QUE', title: 'x', workflow: 'no-such-workflow' })
    expect(ticket).toMatchObject({ status: 'failed', runCount: 1, deadAt: null })
  })
})

test('P15: waiting is not failing; ordering is priority, then age', async () => {
  const blocker = await create('sleeps')
  await waitForTicket(client, blocker.key, 'running', 10_000)
  const keys: string[] = []
  for (const priority of [3, 3, 1, 5, 3, 1]) keys.push((await create('quick', { priority })).key)
  await Promise.all(keys.map((key) => waitForEnd(client, key, 30_000)))
  const { items } = await client.events.list({ type: ['ticket.claimed'], limit: 1000 })
  const ids = new Map((await client.tickets.list({ limit: 100 })).items.map(({ id, key }) => [id, key]))
  const claimed = items
    .map(({ ticketId }) => ids.get(ticketId as never))
    .filter((key) => keys.includes(key ?? ''))
  expect(claimed).toEqual([keys[2], keys[5], keys[0], keys[1], keys[4], keys[3]])
  for (const key of keys) {
    expect(await client.tickets.get(key)).toMatchObject({ status: 'done', runCount: 1 })
    expect((await getLastRun(client, key)).steps.every(({ attemptCount }) => attemptCount === 1)).toBe(true)
  }
})

test('P15: a run that waits for a person holds no slot: others pass it', async () => {
  const asking = await create('ask')
  await waitForTicket(client, asking.key, 'waiting', 10_000)
  expect((await endTicket(client, { project: 'QUE', title: 'x', workflow: 'quick' })).ticket.status).toBe(
    'done',
  )
  const { currentRunId } = await client.tickets.get(asking.key)
  await client.runs.approve(currentRunId ?? '', { comment: 'yes' })
  expect((await waitForEnd(client, asking.key)).ticket.status).toBe('done')
})

test('P20: health is derived from outcomes: claims, renewals, completions; U23: idle is healthy', async () => {
  await using idle = await startTestSwarm({ config: CONFIG })
  const fresh = await idle.client.health.get()
  expect(fresh).toMatchObject({ status: 'ok', isLive: true, isReady: true })
  expect(fresh.figures).toMatchObject({ lastClaimAt: null, lastCompletionAt: null, oldestPendingAgeMs: null })
  await idle.client.projects.create({ key: 'IDLE', name: 'Idle' })
  await registerSteps(idle.client, 'sleeps', [{ id: 'work', kind: 'run', command: ['sleep', '1'] }])
  const { key } = await idle.client.tickets.create({ project: 'IDLE', title: 'x', workflow: 'sleeps' })
  await waitForTicket(idle.client, key, 'running', 10_000)
  const busy = await idle.client.health.get()
  expect(busy).toMatchObject({ status: 'ok', figures: { heldRunCount: 1 } })
  expect(busy.figures.lastClaimAt).not.toBeNull()
  await waitForEnd(idle.client, key)
  await expect.poll(async () => (await idle.client.health.get()).figures.lastCompletionAt).not.toBeNull()
  expect((await idle.client.health.get()).status).toBe('ok')
  const metrics = await idle.client.health.metrics()
  expect(metrics).toMatch(/^swarm_/m)
})

describe('across a restart', () => {
  let directory: string
  let daemon: DaemonProcess | undefined
  let server: Server
  const asked: string[] = []
  let isAway = true

  beforeAll(async () => {
    directory = await makeTestDirectory()
    server = createServer((request, response) => {
      asked.push(String(request.headers['idempotency-key']))
      if (isAway) request.socket.destroy()
      else response.end('fine')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    await writeTestConfig(directory, `${CONFIG}egress: { allow-private: ['127.0.0.1:${port}'] }\n`)
  })
  afterEach(async () => {
    await daemon?.kill()
  })
  afterAll(async () => {
    server.close()
    await rm(directory, { recursive: true, force: true })
  })

  test('P5: a completed step never runs again; P14: results are durable before any outside call', async () => {
    const { port } = server.address() as AddressInfo
    daemon = await startDaemonProcess(directory)
    await daemon.client.projects.create({ key: 'RE', name: 'Restart' })
    const counted = (id: string, needs: string[] = []) => ({
      id,
      kind: 'agent',
      agent: 'echo',
      needs,
      with: { message: `\${run.id} ${id}` },
    })
    await registerSteps(daemon.client, 'steps', [
      counted('paid'),
      {
        id: 'tell',
        kind: 'http',
        needs: ['paid'],
        url: `http://127.0.0.1:${port}/`,
        method: 'POST',
        body: { result: `\${steps.paid.outputs.message}` },
      },
      counted('after', ['tell']),
    ])
    const { key } = await daemon.client.tickets.create({ project: 'RE', title: 'x', workflow: 'steps' })
    await waitForEvent(daemon.client, key, ({ type }) => type === 'effect.retried')
    // The other side is away; what was paid for is on record, whatever happens now.
    const before = await getLastRun(daemon.client, key)
    const paid = getStep(before, 'paid')
    expect(paid).toMatchObject({ status: 'succeeded', attemptCount: 1 })
    await daemon.kill()
    isAway = false
    daemon = await startDaemonProcess(directory)
    const { ticket, run } = await waitForEnd(daemon.client, key, 30_000)
    expect(ticket.status).toBe('done')
    expect(run.id).toBe(before.id)
    expect(getStep(run, 'paid')).toEqual(paid)
    expect(new Set(asked).size).toBe(1)
    expect(run.sandboxes).toHaveLength(2)
    await daemon.kill()
    daemon = await startDaemonProcess(directory)
    expect(await getLastRun(daemon.client, key)).toEqual(run)
  })

  test('U9: a retry never starts before its time, across restarts; an approval waits through one', async () => {
    daemon = await startDaemonProcess(directory)
    const DELAY_MS = 6_000
    await registerSteps(daemon.client, 'later', [
      {
        id: 'work',
        kind: 'run',
        command: ['sh', '-c', 'test "$SWARM_ATTEMPT" = 2'],
        retry: { max: 1, backoff: `${DELAY_MS}ms` },
      },
    ])
    await registerSteps(daemon.client, 'asks', [{ id: 'ask', kind: 'approve', prompt: 'May I?' }])
    const later = await daemon.client.tickets.create({ project: 'RE', title: 'x', workflow: 'later' })
    const asks = await daemon.client.tickets.create({ project: 'RE', title: 'x', workflow: 'asks' })
    await waitForEvent(daemon.client, later.key, ({ type }) => type === 'step.retried')
    await waitForTicket(daemon.client, asks.key, 'waiting', 10_000)
    await daemon.kill()
    daemon = await startDaemonProcess(directory)
    const { currentRunId } = await daemon.client.tickets.get(asks.key)
    await daemon.client.runs.approve(currentRunId ?? '')
    expect((await waitForEnd(daemon.client, asks.key)).ticket.status).toBe('done')
    const { run } = await waitForEnd(daemon.client, later.key)
    const [first, second] = getStep(run, 'work').attempts
    expect(second?.status).toBe('succeeded')
    expect(Date.parse(second?.startedAt ?? '') - Date.parse(first?.finishedAt ?? '')).toBeGreaterThanOrEqual(
      DELAY_MS,
    )
  })
})
