import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createClient, workOnTickets } from '../../src/client/client.ts'
import { type DaemonProcess, startDaemonProcess } from '../support/daemon-process.ts'
import { makeTestDirectory, startTestSwarm, writeTestConfig } from '../support/test-swarm.ts'
import { waitFor, waitForTicket } from '../support/wait-for.ts'

test('a ticket for outside agents is left alone by the coordinator', async () => {
  const swarm = await startTestSwarm({ listen: { port: 0 } })
  const { client } = swarm
  try {
    await client.projects.create({ key: 'OUT', name: 'Outside' })
    const { key } = await client.tickets.create({ project: 'OUT', title: 'for others', workflow: 'external' })
    const other = await client.tickets.create({ project: 'OUT', title: 'for us', workflow: 'echo-chain' })
    await waitForTicket(client, other.key, 'done')
    expect((await client.tickets.get(key)).status).toBe('pending')
    expect((await client.health.get()).figures.oldestPendingAgeMs).toBeNull()
    const { secret } = await client.tokens.create({ name: 'agent', scopes: ['claim'] })
    const agent = createClient({ baseUrl: swarm.daemon.apiUrl ?? '', token: secret })
    await workOnTickets(agent, {
      holder: 'example',
      until: 'idle',
      work: async ({ ticket }) => ({ words: ticket.title.split(' ').length }),
    })
    expect(await client.tickets.get(key)).toMatchObject({ status: 'done', outputs: { words: 2 } })
  } finally {
    await swarm[Symbol.asyncDispose]()
  }
})

// ---------------------------------------------------------------- fifty agents

const FLEET_COUNT = 5
const AGENTS_PER_FLEET = 10
const TICKET_COUNT = 500
const PROGRAM = fileURLToPath(new URL('../support/outside-agent-process.ts', import.meta.url))

type Note = { kind: string; ticketKey: string; runId: string }
type Fleet = { name: string; child: ChildProcess; notes: Note[]; ended: Promise<unknown[]> }

describe('fifty agents in processes of their own, 500 tickets', () => {
  let directory: string
  let daemon: DaemonProcess
  let url: string
  let token: string
  let db: DatabaseSync
  let fleets: Fleet[] = []

  const startFleet = (name: string): Fleet => {
    const env = { PATH: process.env.PATH, SWARM_URL: url, SWARM_TOKEN: token, FLEET: name }
    const child = spawn(process.execPath, [PROGRAM], {
      env: { ...env, AGENT_COUNT: String(AGENTS_PER_FLEET) },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const fleet: Fleet = { name, child, notes: [], ended: once(child, 'close') }
    let rest = ''
    child.stdout.on('data', (data) => {
      const lines = `${rest}${data}`.split('\n')
      rest = lines.pop() ?? ''
      fleet.notes.push(...lines.map((line) => JSON.parse(line) as Note))
    })
    fleets.push(fleet)
    return fleet
  }
  /** Runs that the fleet has claimed and not ended, as far as it said. */
  const listHeld = ({ notes }: Fleet) =>
    notes.filter(
      ({ kind, runId }) =>
        kind === 'claimed' && !notes.some((other) => other.runId === runId && other.kind !== 'claimed'),
    )
  const countDone = () => fleets.flatMap(({ notes }) => notes).filter(({ kind }) => kind === 'done').length
  const waitUntilDone = (count: number) =>
    waitFor(`${count} tickets done`, async () => (countDone() >= count ? true : undefined), 60_000)

  /** The story; the tests below read what it left in the database and in the agents' own notes. */
  beforeAll(async () => {
    directory = await makeTestDirectory()
    const port = await findFreePort()
    url = `http://127.0.0.1:${port}`
    await writeTestConfig(directory, 'slots: 1\nretry: { runs: 8, backoff: 10ms }\n', { port })
    daemon = await startDaemonProcess(directory)
    const { client } = daemon
    await client.projects.create({ key: 'OUT', name: 'Outside' })
    token = (await client.tokens.create({ name: 'agents', scopes: ['claim', 'read'] })).secret
    const create = (index: number) =>
      client.tickets.create({ project: 'OUT', title: `ticket ${index}`, workflow: 'external' })
    for (let at = 0; at < TICKET_COUNT; at += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, index) => create(at + index)))
    }
    for (let at = 0; at < FLEET_COUNT; at += 1) startFleet(`fleet${at}`)
    const [killed, frozen] = fleets
    if (killed === undefined || frozen === undefined) throw new Error('there is no fleet')
    await waitUntilDone(50)
    await waitFor('work in the hands of both', async () =>
      listHeld(killed).length > 4 && listHeld(frozen).length > 4 ? true : undefined,
    )
    killed.child.kill('SIGKILL')
    frozen.child.kill('SIGSTOP')
    const forUs = await client.tickets.create({ project: 'OUT', title: 'for us', workflow: 'echo-chain' })
    await waitUntilDone(150)
    await daemon.kill()
    daemon = await startDaemonProcess(directory)
    startFleet('fleet5')
    await waitForTicket(daemon.client, forUs.key, 'done')
    // Nobody else has any left: what is open now is what the killed and the frozen held.
    await waitFor(
      'the tickets of the frozen agents done by others',
      async () => {
        const keys = listHeld(frozen).map(({ ticketKey }) => ticketKey)
        const seen = await Promise.all(keys.map((key) => daemon.client.tickets.get(key)))
        return seen.every(({ status }) => status === 'done') ? true : undefined
      },
      60_000,
    )
    frozen.child.kill('SIGCONT')
    await waitFor('the frozen agents reported', async () =>
      frozen.notes.some(({ kind }) => kind === 'lost') && listHeld(frozen).length === 0 ? true : undefined,
    )
    await waitFor('every ticket done', async () => {
      const open = await daemon.client.tickets.list({ status: ['pending', 'running'] })
      return open.items.length === 0 ? true : undefined
    })
    for (const { child } of fleets) child.kill('SIGTERM')
    await Promise.all(fleets.map(({ ended }) => ended))
    expect((await daemon.client.health.get()).figures.heldRunCount).toBe(0)
    await daemon.signal('SIGTERM')
    db = new DatabaseSync(join(directory, 'state', 'swarm.db'), { readOnly: true })
  }, 180_000)

  afterAll(async () => {
    for (const { child } of fleets) child.kill('SIGKILL')
    fleets = []
    await daemon?.kill()
    db?.close()
    await rm(directory, { recursive: true, force: true })
  })

  const select = (sql: string, ...values: string[]) => db.prepare(sql).all(...values)
  const IS_OURS = "workflow = 'external'"

  test('U2: fifty agents at once, with kills and stale reports, give each ticket one result', () => {
    const tickets = select(
      `select id, status, outputs, current_run_id as runId from tickets where ${IS_OURS}`,
    )
    expect(tickets).toHaveLength(TICKET_COUNT)
    for (const { id, status, outputs, runId } of tickets) {
      const winners = select(
        `select id, outputs from runs where ticket_id = ? and status = 'succeeded'`,
        String(id),
      )
      expect(winners).toEqual([{ id: runId, outputs }])
      expect([status, JSON.parse(String(outputs)).run]).toEqual(['done', runId])
    }
    const results = select(
      `select ticket_id, count(*) as n from events where type = 'ticket.done' group by ticket_id having n <> 1`,
    )
    expect(results).toEqual([])
  })

  test('U2: no ticket was ever in two hands: each run ends before the next one begins', () => {
    const rows = select(
      `select e.ticket_id as ticket, e.run_id as run, e.type from events e join tickets t on t.id = e.ticket_id
       where t.${IS_OURS} and e.type in ('run.claimed', 'run.succeeded', 'run.failed', 'run.canceled') order by e.seq`,
    )
    const holding = new Map<unknown, unknown>()
    for (const { ticket, run, type } of rows) {
      expect(holding.get(ticket)).toBe(type === 'run.claimed' ? undefined : run)
      if (type === 'run.claimed') holding.set(ticket, run)
      else holding.delete(ticket)
    }
    expect(holding.size).toBe(0)
  })

  test('U3: what frozen agents reported when they woke changed nothing, and they heard so', () => {
    const [, frozen] = fleets
    const late = frozen?.notes.filter(({ kind }) => kind === 'lost') ?? []
    expect(late.length).toBeGreaterThan(0)
    for (const { runId } of late) {
      const [run] = select('select status, reason, outputs from runs where id = ?', runId)
      expect(run).toEqual({ status: 'failed', reason: 'lease_expired', outputs: null })
      const after = select(
        `select type from events where run_id = ?1 and type like 'run.%' and seq >
         (select seq from events where run_id = ?1 and type = 'run.failed')`,
        runId,
      )
      expect(after).toEqual([])
    }
  })

  test('U5: what killed agents held was offered again and done by others', () => {
    const [killed] = fleets
    const held = killed === undefined ? [] : listHeld(killed)
    expect(held.length).toBeGreaterThan(0)
    for (const { runId, ticketKey } of held) {
      const [run] = select('select status, reason from runs where id = ?', runId)
      const [ticket] = select('select status, current_run_id as runId from tickets where key = ?', ticketKey)
      // A report may have been recorded just before the kill, its answer unread.
      if (run?.status === 'succeeded') continue
      expect(run).toEqual({ status: 'failed', reason: 'lease_expired' })
      expect(ticket?.status).toBe('done')
      expect(ticket?.runId).not.toBe(runId)
    }
  })

  test('P1: reports went through a kill of the coordinator; nothing is held by anybody afterwards', () => {
    for (const { kind, runId } of fleets.flatMap(({ notes }) => notes)) {
      const [run] = select('select status from runs where id = ?', runId)
      if (kind === 'done') expect(run?.status).toBe('succeeded')
      if (kind === 'lost') expect(run?.status).not.toBe('succeeded')
    }
    const open = select(`select id from runs where finished_at is null or lease_holder is not null`)
    expect(open).toEqual([])
    const exits = fleets.slice(1).map(({ child }) => child.exitCode)
    expect(exits).toEqual(Array(FLEET_COUNT).fill(0))
  })
})

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}
