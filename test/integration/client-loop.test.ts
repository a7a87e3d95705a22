/** The loop of an outside agent in the client, against the real API over TCP; the network between is the test's. */
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  createClient,
  type FetchLike,
  type SwarmClient,
  TicketFailed,
  type Work,
  type WorkNote,
  type WorkOnTicketsOptions,
  workOnTickets,
} from '../../src/client/client.ts'
import { type ApiServer, startApiServer } from '../support/api-server.ts'
import { waitFor } from '../support/wait-for.ts'

let server: ApiServer
let secret: string
beforeEach(async () => {
  server = await startApiServer()
  await server.owner.projects.create({ key: 'WEB', name: 'Web' })
  secret = (await server.owner.tokens.create({ name: 'agent', scopes: ['claim', 'read'] })).secret
})
afterEach(async () => {
  vi.useRealTimers()
  await server[Symbol.asyncDispose]()
})

const LEASE_TTL_MS = 5_000
const connect = (network: FetchLike = fetch, token = secret) =>
  createClient({ baseUrl: server.url, token, fetch: network })
const file = async (title = 'work') => (await server.owner.tickets.create({ project: 'WEB', title })).key
const get = (key: string) => server.owner.tickets.get(key)

/** Runs the loop until there is nothing to do, or beside the test; gives what it noted. */
function begin(client: SwarmClient, work: Work, more: Partial<WorkOnTicketsOptions> = {}) {
  const notes: WorkNote[] = []
  const stop = new AbortController()
  const ended = workOnTickets(client, {
    holder: 'builder-7',
    work,
    leaseTtlMs: LEASE_TTL_MS,
    signal: stop.signal,
    until: 'idle',
    onNote: (note) => notes.push(note),
    ...more,
  })
  // Looked at by those who await it.
  ended.catch(() => undefined)
  const kinds = () => notes.filter(({ kind }) => kind !== 'trouble').map(({ kind }) => kind)
  return { ended, notes, kinds, stop: () => stop.abort(new Error('the test is over')) }
}

/** Ends with the signal's reason. */
const untilAborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })

test('every ticket is claimed, done and reported; milestones are events', async () => {
  const keys = [await file('one two'), await file('three')]
  const loop = begin(connect(), async ({ ticket, progress }) => {
    await progress('read', { percent: 50 })
    return { words: ticket.title.split(' ').length }
  })
  await loop.ended
  expect(loop.kinds()).toEqual(['claimed', 'done', 'claimed', 'done'])
  expect((await Promise.all(keys.map(get))).map(({ outputs }) => outputs)).toEqual([
    { words: 2 },
    { words: 1 },
  ])
  const events = await server.owner.events.list({ type: ['run.progressed'] })
  expect(events.items.map(({ data }) => data)).toMatchObject(Array(2).fill({ message: 'read', percent: 50 }))
})

describe('P1: a report is retried until it is recorded', () => {
  test('P1: an answer that is lost does not make a second claim or a second result', async () => {
    const keys = [await file(), await file(), await file()]
    const lost = new Map<string, number>()
    const forgetful: FetchLike = async (url, init) => {
      const response = await fetch(url, init)
      const count = lost.get(url) ?? 0
      lost.set(url, count + 1)
      if (count > 1 || url.includes('/heartbeat')) return response
      await response.arrayBuffer()
      throw new TypeError('terminated')
    }
    const loop = begin(connect(forgetful), async ({ ticket }) => {
      if (ticket.key === keys[1]) throw new TicketFailed('cannot', { isFinal: true })
      return { ok: true }
    })
    await loop.ended
    expect(loop.kinds()).toEqual(['claimed', 'done', 'claimed', 'failed', 'claimed', 'done'])
    expect((await Promise.all(keys.map(get))).map(({ status }) => status)).toEqual(['done', 'failed', 'done'])
    expect((await server.owner.runs.list()).items.map(({ number }) => number)).toEqual([1, 1, 1])
    expect(loop.notes.filter(({ kind }) => kind === 'trouble').length).toBeGreaterThanOrEqual(8)
  })

  test('P1: overload, a full disk and a proxy’s page are waited out, as long as the server asks', async () => {
    const key = await file()
    const answers = [
      new Response('<h1>Bad Gateway</h1>', { status: 502 }),
      Response.json({}, { status: 507 }),
      Response.json({}, { status: 429, headers: { 'retry-after': '1' } }),
    ]
    const askedAt: number[] = []
    const busy: FetchLike = async (url, init) => {
      if (!url.includes('/complete')) return await fetch(url, init)
      askedAt.push(performance.now())
      return answers.shift() ?? (await fetch(url, init))
    }
    await begin(connect(busy), async () => ({})).ended
    expect((await get(key)).status).toBe('done')
    expect(askedAt).toHaveLength(4)
    expect((askedAt[3] ?? 0) - (askedAt[2] ?? 0)).toBeGreaterThanOrEqual(1_000 - 1)
  })

  test('P1: what the API refuses as outputs fails the run instead of leaving it held', async () => {
    const circular: Record<string, unknown> = {}
    circular.self = circular
    const outputs = [
      ['no', 'object'],
      { text: 'x'.repeat(2 ** 20) },
      { text: 'x'.repeat(9 * 2 ** 20) },
      circular,
    ]
    await Promise.all(outputs.map((_, index) => file(String(index))))
    const loop = begin(connect(), async ({ ticket }) => outputs[Number(ticket.title)] as never)
    await loop.ended
    expect(loop.kinds().filter((kind) => kind === 'failed')).toHaveLength(4)
    const runs = (await server.owner.runs.list()).items
    expect(runs.map(({ reason }) => reason).toSorted()).toEqual([
      'agent_failed',
      'result_invalid',
      'result_invalid',
      'result_invalid',
    ])
    expect(runs.every(({ lease }) => lease.holder === null)).toBe(true)
  })
})

describe('the work is told when to stop', () => {
  test('U3: the ticket passed to somebody else: the signal aborts, and the late result changes nothing', async () => {
    const key = await file()
    const seen: unknown[] = []
    const loop = begin(connect(), async ({ signal }) => {
      await untilAborted(signal).catch((reason) => seen.push(reason))
      return { late: true }
    })
    await waitFor('the claim', async () => ((await get(key)).status === 'running' ? true : undefined))
    server.clock.advance(LEASE_TTL_MS + 1)
    await server.store.write.expireLeases({ runCountMax: 5, retryDelayMs: 0 })
    const other = await server.connect(secret).tickets.claim(key, { holder: 'builder-8' })
    await loop.ended
    expect(loop.kinds()).toEqual(['claimed', 'lost'])
    expect(seen).toMatchObject([{ code: 'lease_lost', detail: expect.stringContaining('lease_expired') }])
    expect(await get(key)).toMatchObject({ status: 'running', currentRunId: other.run.id, outputs: null })
  })

  test('the ticket was canceled: the signal aborts and the loop goes on with the next one', async () => {
    const key = await file()
    const loop = begin(connect(), async ({ ticket, signal }) =>
      ticket.key === key ? await untilAborted(signal) : {},
    )
    await waitFor('the claim', async () => ((await get(key)).status === 'running' ? true : undefined))
    const next = await file()
    await server.owner.tickets.cancel(key)
    await loop.ended
    expect(loop.kinds()).toEqual(['claimed', 'lost', 'claimed', 'done'])
    expect((await get(key)).status).toBe('canceled')
    expect((await get(next)).status).toBe('done')
  })

  test('the agent is stopped: what is not finished is released at once, what is finished counts', async () => {
    const keys = [await file(), await file()]
    const loops = keys.map(() =>
      begin(connect(), async ({ ticket, signal }) => {
        const reason = await untilAborted(signal).catch((error: unknown) => error)
        if (ticket.key === keys[0]) return { finished: true }
        throw reason
      }),
    )
    await waitFor('both claims', async () =>
      (await get(keys[1] ?? '')).status === 'running' ? true : undefined,
    )
    for (const loop of loops) loop.stop()
    await Promise.all(loops.map(({ ended }) => ended))
    expect(loops.map(({ kinds }) => kinds().at(-1)).toSorted()).toEqual(['done', 'released'])
    expect(await get(keys[0] ?? '')).toMatchObject({ status: 'done', outputs: { finished: true } })
    expect((await get(keys[1] ?? '')).status).toBe('pending')
  })

  test('U18: work that ignores its signal does not keep the ticket, and no other is begun beside it', async () => {
    const key = await file()
    await file()
    const over = new AbortController()
    const loop = begin(connect(), () => untilAborted(over.signal).catch(() => undefined), { graceMs: 50 })
    await waitFor('the claim', async () => ((await get(key)).status === 'running' ? true : undefined))
    await server.owner.tickets.cancel(key)
    await expect(loop.ended).rejects.toThrow(`the work on ${key} goes on though it was told to end`)
    over.abort()
    const stuck = begin(connect(), () => delay(60_000, undefined, { ref: false }).then(() => ({})), {
      graceMs: 50,
    })
    await waitFor('the next claim', async () => (stuck.kinds().includes('claimed') ? true : undefined))
    stuck.stop()
    await stuck.ended
    expect(stuck.kinds()).toEqual(['claimed', 'released'])
  })

  test('U18: a server that is gone does not hold an agent that is to stop', async () => {
    const nobody: FetchLike = () => Promise.reject(new TypeError('fetch failed'))
    const loop = begin(connect(nobody), async () => ({}))
    await waitFor('trouble', async () => (loop.notes.length > 0 ? true : undefined))
    loop.stop()
    await loop.ended
  })
})

describe('waiting for work', () => {
  test('an idle agent hears of a ticket through events, and asks without them when it may not listen', async () => {
    const { secret: deaf } = await server.owner.tokens.create({ name: 'deaf', scopes: ['claim'] })
    const counts = { listening: 0, deaf: 0 }
    const counting =
      (name: keyof typeof counts): FetchLike =>
      async (url, init) => {
        if (url.includes('/tickets/claim')) counts[name] += 1
        return await fetch(url, init)
      }
    const hour = { until: 'stopped', pollMs: 3_600_000 } as const
    const listener = begin(connect(counting('listening')), async () => ({}), hour)
    await waitFor('the stream stands', async () => (counts.listening === 2 ? true : undefined))
    const key = await file()
    await waitFor('it is done', async () => ((await get(key)).status === 'done' ? true : undefined))
    listener.stop()
    await listener.ended

    const poller = begin(connect(counting('deaf'), deaf), async () => ({}), { ...hour, pollMs: 100 })
    await waitFor('it asked', async () => (counts.deaf > 1 ? true : undefined))
    const next = await file()
    await waitFor('it is done', async () => ((await get(next)).status === 'done' ? true : undefined))
    poller.stop()
    await poller.ended
    expect(poller.notes.filter(({ kind }) => kind === 'trouble')).toEqual([])
  })

  test('a token that may not claim ends the loop with the reason', async () => {
    const { secret: reader } = await server.owner.tokens.create({ name: 'reader', scopes: ['read'] })
    const loop = begin(connect(fetch, reader), async () => ({}))
    await expect(loop.ended).rejects.toMatchObject({ status: 403, code: 'missing_scope' })
  })

  test('the agent’s clock may be a year off: only durations count', async () => {
    const key = await file()
    vi.useFakeTimers({ toFake: ['Date'], now: Date.parse('2001-01-01') })
    const beats: unknown[] = []
    const counting: FetchLike = async (url, init) => {
      if (url.includes('/heartbeat')) beats.push(init.body)
      return await fetch(url, init)
    }
    const loop = begin(connect(counting), async ({ signal }) => {
      await waitFor('two heartbeats', async () => (beats.length > 1 || signal.aborted ? true : undefined))
      return { aborted: signal.aborted }
    })
    // The work itself looks at the wrong clock: it is set right when the work is over.
    await loop.ended.finally(() => vi.useRealTimers())
    expect((await get(key)).outputs).toEqual({ aborted: false })
  })
})
