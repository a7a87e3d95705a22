/** Trackers at the API: their list, and claims of outside agents, which are taken there before they are given out. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { SwarmClient } from '../../src/client/client.ts'
import type { TakeEnd } from '../../src/coordinator/control.ts'
import type { Claim } from '../../src/store/contract.ts'
import { type ApiServer, startApiServer } from '../support/api-server.ts'
import { expectProblem } from '../support/expect-problem.ts'

let server: ApiServer
let agent: SwarmClient
/** Names of the tickets that the coordinator was asked to take, in order */
let asked: string[]
beforeEach(async () => {
  server = await startApiServer()
  await server.owner.projects.create({ key: 'WEB', name: 'Web' })
  agent = await server.connectAs('claim', 'read')
  asked = []
})
afterEach(async () => await server[Symbol.asyncDispose]())

async function mirror(...externalIds: readonly string[]): Promise<void> {
  const project = await server.store.read.findProject({ key: 'WEB' })
  if (project === undefined) throw new Error('no project')
  await server.store.write.mirrorTickets({
    tracker: 'legacy',
    projectId: project.id,
    tickets: externalIds.map((externalId) => ({
      externalId,
      word: 'pending',
      title: externalId,
      body: '',
      type: '',
      labels: [],
      priority: 3,
      workflow: 'external',
      agent: null,
      inputs: {},
      createdAt: null,
    })),
    readAt: server.clock.now(),
    actor: 'tracker:legacy',
  })
}

/** The coordinator as it is when somebody else has these tickets, and the tracker those others. */
function answerTakes({ lost = [], away = [] }: { lost?: string[]; away?: string[] } = {}): void {
  const { write } = server.store
  server.control.takeTicket = async ({ ticket, run }: Claim): Promise<TakeEnd> => {
    const externalId = ticket.externalId ?? ''
    asked.push(externalId)
    const proof = { runId: run.id, holder: run.lease.holder ?? '', epoch: run.lease.epoch }
    if (lost.includes(externalId)) {
      const why = { reason: 'taken_elsewhere', detail: 'bob has it', seenWord: 'in_progress' } as const
      await write.finishRun({ ...proof, outcome: { status: 'canceled', ...why } })
      return { kind: 'left', detail: why.detail }
    }
    if (away.includes(externalId)) {
      const why = { reason: 'tracker_failed', detail: 'it is locked' } as const
      await write.releaseRun({ ...proof, ...why, notBefore: server.clock.now() + 60_000 })
      return { kind: 'left', detail: why.detail }
    }
    await write.recordTake({ ...proof, word: 'in_progress' })
    return { kind: 'taken' }
  }
}

const claimNext = async (idempotencyKey?: string) =>
  await agent.tickets.claimNext(
    { holder: 'a', leaseTtlMs: 30_000 },
    idempotencyKey === undefined ? {} : { idempotencyKey },
  )

describe.each([
  ['without a key', undefined],
  ['under an Idempotency-Key', 'key-1'],
])('a claim %s', (_, key) => {
  test('of a mirrored ticket is taken there before it is given out', async () => {
    answerTakes()
    await mirror('1')
    const claim = await claimNext(key)
    expect(asked).toEqual(['1'])
    expect(claim?.ticket).toMatchObject({ tracker: 'legacy', externalId: '1', status: 'running' })
    expect((await server.store.read.findExternalRef({ tracker: 'legacy', externalId: '1' }))?.standing).toBe(
      'ours',
    )
    await agent.runs.heartbeat(claim?.run.id ?? '', {
      holder: 'a',
      epoch: claim?.lease.epoch ?? 0,
      leaseTtlMs: 30_000,
    })
    expect((await server.store.read.listRuns({})).items).toHaveLength(1)
  })

  test('U2: of one that somebody else has gives out the next one, and never that', async () => {
    answerTakes({ lost: ['1', '2'] })
    await mirror('1', '2', '3')
    expect((await claimNext(key))?.ticket.externalId).toBe('3')
    expect(asked).toEqual(['1', '2', '3'])
    expect((await server.owner.tickets.get('WEB-1')).status).toBe('canceled')
  })

  test('of tickets whose tracker is away leaves them in the queue, uncounted, and gives out our own', async () => {
    answerTakes({ away: ['1'] })
    await mirror('1')
    await server.owner.tickets.create({ project: 'WEB', title: 'own' })
    expect((await claimNext(key))?.ticket).toMatchObject({ title: 'own', tracker: null })
    expect(await server.owner.tickets.get('WEB-1')).toMatchObject({
      status: 'pending',
      reason: 'tracker_failed',
      detail: 'it is locked',
      runCount: 0,
    })
  })

  test('finds nothing when all of them are lost', async () => {
    answerTakes({ lost: ['1'] })
    await mirror('1')
    expect(await claimNext(key)).toBeUndefined()
  })

  test('of our own ticket asks no tracker', async () => {
    answerTakes()
    await server.owner.tickets.create({ project: 'WEB', title: 'own' })
    expect((await claimNext(key))?.ticket.title).toBe('own')
    expect(asked).toEqual([])
  })

  test('of a named ticket that somebody else has is refused with 409', async () => {
    answerTakes({ lost: ['1'] })
    await mirror('1')
    const body = { holder: 'a', leaseTtlMs: 30_000 }
    const options = key === undefined ? {} : { idempotencyKey: key }
    const problem = await expectProblem(agent.tickets.claim('WEB-1', body, options), 409, 'not_claimable')
    expect(problem.detail).toContain('bob has it')
  })
})

test('the same key again gives the same claim, and takes nothing more', async () => {
  answerTakes()
  await mirror('1', '2')
  const first = await claimNext('key-1')
  expect((await claimNext('key-1'))?.run.id).toBe(first?.run.id)
  expect(asked).toEqual(['1'])
})

test('U2: the same key twice at once gives one claim; what the other took goes back into the queue', async () => {
  answerTakes()
  const both = Promise.withResolvers<void>()
  const { takeTicket } = server.control
  server.control.takeTicket = async (claim) => {
    const end = await takeTicket(claim)
    if (asked.length === 2) both.resolve()
    await both.promise
    return end
  }
  await mirror('1', '2')
  const claims = await Promise.all([claimNext('key-1'), claimNext('key-1')])
  expect(new Set(claims.map((claim) => claim?.run.id)).size).toBe(1)
  const { items } = await server.store.read.listTickets({})
  expect(items.map(({ status }) => status).sort()).toEqual(['pending', 'running'])
})

test('the list of trackers says how each stands, and what could not be told', async () => {
  answerTakes()
  await mirror('1')
  const claim = await claimNext()
  await agent.runs.complete(claim?.run.id ?? '', {
    holder: 'a',
    epoch: claim?.lease.epoch ?? 0,
    outputs: {},
  })
  const [effect] = await server.store.write.claimEffects({ countMax: 1 })
  if (effect === undefined) throw new Error('nothing to send')
  const why = { reason: 'tracker_refused', detail: 'a trigger' } as const
  await server.store.write.failEffect({ effectId: effect.id, ...why })
  server.control.listTrackers = () => [
    {
      name: 'legacy',
      kind: 'sqlite-table',
      project: 'WEB',
      lastPollAt: server.clock.now(),
      problem: null,
      failureCount: 0,
      isOk: true,
      openThereCount: 3,
      openHereCount: 2,
      mirroredCount: 5,
      notes: [{ externalId: '9', severity: 'refused', problem: 'its title is empty', fix: null }],
      noteCount: 1,
    },
  ]
  expect((await agent.trackers.list()).items).toEqual([
    {
      name: 'legacy',
      kind: 'sqlite-table',
      project: 'WEB',
      lastPollAt: '2030-01-01T00:00:00.000Z',
      problem: null,
      failureCount: 0,
      isOk: true,
      openThereCount: 3,
      openHereCount: 2,
      mirroredCount: 5,
      notes: [{ externalId: '9', severity: 'refused', problem: 'its title is empty', fix: null }],
      noteCount: 1,
      untold: [{ ticketKey: 'WEB-1', externalId: '1', ticketStatus: 'done', ...why }],
    },
  ])
})
