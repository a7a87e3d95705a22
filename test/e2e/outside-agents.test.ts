import { afterAll, beforeAll, expect, test } from 'vitest'
import { workOnOneTicket } from '../../examples/outside-agent.ts'
import { startTestSwarm, type TestSwarm } from '../support/test-swarm.ts'
import { waitFor, waitForTicket } from '../support/wait-for.ts'

const AGENT_COUNT = 50
const TICKET_COUNT = 500
/** Every so many tickets an agent dies in the middle, or reports after its lease has passed. */
const DIES_EVERY = 20

let swarm: TestSwarm
let token = ''
beforeAll(async () => {
  swarm = await startTestSwarm({ config: 'retry: { runs: 5, backoff: 10ms }\n', listen: { port: 0 } })
  await swarm.client.projects.create({ key: 'OUT', name: 'Outside' })
  token = (await swarm.client.tokens.create({ name: 'agents', scopes: ['claim'] })).secret
})
afterAll(async () => await swarm[Symbol.asyncDispose]())

const file = async (title: string) =>
  await swarm.client.tickets.create({ project: 'OUT', title, workflow: 'external' })

test('a ticket for outside agents is left alone by the coordinator', async () => {
  const { key } = await file('for others')
  const other = await swarm.client.tickets.create({ project: 'OUT', title: 'for us', workflow: 'echo-chain' })
  await waitForTicket(swarm.client, other.key, 'done')
  expect((await swarm.client.tickets.get(key)).status).toBe('pending')
  expect((await swarm.client.health.get()).figures.oldestPendingAgeMs).toBeNull()
  const url = swarm.daemon.apiUrl ?? ''
  const done = await workOnOneTicket({
    url,
    token,
    holder: 'example',
    leaseTtlMs: 10_000,
    work: async ({ title }) => ({ words: title.split(' ').length }),
  })
  expect(done).toBe(key)
  const ticket = await swarm.client.tickets.get(key)
  expect(ticket).toMatchObject({ status: 'done', outputs: { words: 2 } })
})

test('U2: fifty agents at once, with kills and stale reports, give each ticket one result', async () => {
  const url = swarm.daemon.apiUrl ?? ''
  for (let at = 0; at < TICKET_COUNT; at += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, index) => file(`ticket ${at + index}`)))
  }
  const worked = new Map<string, number>()
  let turn = 0
  const runAgent = async (holder: string) => {
    for (;;) {
      const agent = {
        url,
        token,
        holder,
        leaseTtlMs: 5_000,
        work: async ({ key }: { key: string }) => {
          turn += 1
          if (turn % DIES_EVERY === 0) return await die(url, token, key)
          worked.set(key, (worked.get(key) ?? 0) + 1)
          return { by: holder }
        },
      }
      if ((await workOnOneTicket(agent)) === undefined) return
    }
  }
  await Promise.all(Array.from({ length: AGENT_COUNT }, (_, index) => runAgent(`agent-${index}`)))
  const tickets = await waitFor('every ticket done', async () => {
    await runAgent('sweeper')
    const all = []
    for await (const ticket of swarm.client.tickets.listAll({ project: 'OUT' })) all.push(ticket)
    const ours = all.filter((ticket) => ticket.title.startsWith('ticket '))
    return ours.every((ticket) => ticket.status === 'done') ? ours : undefined
  })
  expect(tickets).toHaveLength(TICKET_COUNT)
  expect(tickets.every(({ outputs }) => typeof outputs?.by === 'string')).toBe(true)
  // One completion counts for each ticket, whoever tried before.
  const { items } = await countEvents('run.succeeded')
  expect(items.size).toBeGreaterThanOrEqual(TICKET_COUNT)
  expect([...items.values()].every((count) => count === 1)).toBe(true)
}, 120_000)

/** A stale writer: it waits until its lease has passed and reports all the same, which changes nothing. */
async function die(url: string, secret: string, key: string): Promise<never> {
  const ticket = await swarm.client.tickets.get(key)
  const response = await fetch(`${url}/v1/runs/${ticket.currentRunId}/complete`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
    body: JSON.stringify({ holder: 'somebody-else', epoch: 1, outputs: { by: 'nobody' } }),
  })
  expect(response.status).toBe(409)
  throw new Error('the agent was killed')
}

async function countEvents(type: string): Promise<{ items: Map<string, number> }> {
  const items = new Map<string, number>()
  let after = 0
  for (;;) {
    const page = await swarm.client.events.list({ after, type: [type], limit: 1000 })
    if (page.items.length === 0) return { items }
    for (const { ticketId } of page.items) items.set(ticketId ?? '', (items.get(ticketId ?? '') ?? 0) + 1)
    after = page.lastSeq
  }
}
