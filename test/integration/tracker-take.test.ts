/** A mirrored ticket through the whole coordinator: taken there, worked on, written back; and killed in between. */
import { afterEach, expect, test } from 'vitest'
import { toMark } from '../../src/domain/external-ref.ts'
import type { Ticket } from '../../src/domain/ticket.ts'
import type { StoreWriter } from '../../src/store/contract.ts'
import { StoreError } from '../../src/store/errors.ts'
import { type Tracker, TrackerError } from '../../src/tracker/contract.ts'
import {
  createFakeBoard,
  createFakeTracker,
  type FakeBoard,
  type FakeTicket,
} from '../../src/tracker/fake/create-fake-tracker.ts'
import type { TicketWords } from '../../src/tracker/ownership.ts'
import {
  createTestCoordinator,
  type TestCoordinator,
  type TestCoordinatorOptions,
} from '../support/test-coordinator.ts'
import { waitFor } from '../support/wait-for.ts'

const WORKFLOW = `name: one
version: 1
done-when: finished
steps:
  - { id: work, kind: run, command: [echo, hello, 'FAKE_OUTPUT=x'] }
`
const APPROVED = `name: approved
version: 1
done-when: finished
steps:
  - { id: approve, kind: approve, prompt: 'Ship it?' }
`

const WORDS: TicketWords = {
  pending: ['pending'],
  running: ['in_progress'],
  done: ['done'],
  failed: ['failed'],
  canceled: ['canceled'],
}

let scene: TestCoordinator | undefined
let board: FakeBoard
afterEach(async () => {
  await scene?.[Symbol.asyncDispose]()
  scene = undefined
})

async function begin(
  options: TestCoordinatorOptions & { wrap?: (tracker: Tracker) => Tracker; words?: TicketWords } = {},
): Promise<TestCoordinator> {
  board = createFakeBoard({ words: { ...WORDS, ...options.words } })
  const fake = createFakeTracker({ name: 'legacy', board })
  const tracker = options.wrap?.(fake) ?? fake
  scene = await createTestCoordinator({
    trackers: { find: (name) => (name === 'legacy' ? tracker : undefined) },
    mirrors: [{ name: 'legacy', project: 'TST', pollIntervalMs: 50, mayNameWorkflow: true }],
    ...options,
  })
  await scene.register(WORKFLOW)
  await scene.register(APPROVED)
  return scene
}

function put(changes: Partial<FakeTicket> = {}): void {
  board.put({ externalId: '7', title: 'Seven', workflow: 'one', ...changes })
}

async function waitForMirrored({ store }: TestCoordinator, externalId = '7'): Promise<Ticket> {
  return await waitFor('the mirrored ticket', async () => {
    const ref = await store.read.findExternalRef({ tracker: 'legacy', externalId })
    return ref && (await store.read.findTicket({ ticketId: ref.ticketId }))
  })
}

const waitForWord = async (word: string) =>
  await waitFor(`the word ${word} there`, async () => {
    const ticket = board.find('7')
    return ticket?.word === word ? ticket : undefined
  })

/** The row of the foreign table that most of these tests are about */
const SEVEN = {
  externalId: '7',
  word: 'pending',
  title: 'Seven',
  body: '',
  type: '',
  labels: [],
  priority: 3,
  workflow: 'one',
  agent: null,
  inputs: {},
  createdAt: null,
}

test('a ticket of a tracker is taken there, worked on here, and written back', async () => {
  const current = await begin()
  put()
  await current.start()
  const mirrored = await waitForMirrored(current)
  const ended = await current.waitForTicket(mirrored.id)
  expect(ended.status).toBe('done')
  const there = await waitForWord('done')
  expect(there).toMatchObject({ by: toMark(ended.id), result: ended.outputs, error: null })
  const events = await current.store.read.listEvents({ afterSeq: 0, ticketId: ended.id })
  const types = events.map(({ type }) => type)
  expect(types.indexOf('ticket.taken')).toBeGreaterThan(types.indexOf('run.claimed'))
  expect(types.indexOf('ticket.taken')).toBeLessThan(types.indexOf('run.translated'))
})

test('U6: one that nothing routes fails at once with its reason, there too', async () => {
  const current = await begin()
  put({ workflow: null })
  await current.start()
  const ended = await current.waitForTicket((await waitForMirrored(current)).id)
  expect(ended).toMatchObject({ status: 'failed', reason: 'unroutable' })
  expect((await waitForWord('failed')).error).toMatch(/^unroutable: /)
})

test('U2: a lost comparison cancels ours before anything is done for it', async () => {
  const current = await begin()
  put({ title: 'fake-take-lost' })
  await current.start()
  const ended = await current.waitForTicket((await waitForMirrored(current)).id)
  expect(ended).toMatchObject({
    status: 'canceled',
    reason: 'taken_elsewhere',
    detail: 'it stands as "in_progress" in tracker legacy, taken by "somebody else"',
  })
  expect(await current.store.read.listStepInstances(ended.currentRunId ?? ('' as never))).toEqual([])
  expect(await current.store.read.listEffects({ ticketId: ended.id })).toEqual([])
  expect(board.find('7')).toMatchObject({ by: 'somebody else' })
})

test('a tracker that cannot be reached is waited for: the slot is free meanwhile, and the ticket says why', async () => {
  const current = await begin()
  put({ title: 'fake-take-fails-1' })
  await current.start()
  const mirrored = await waitForMirrored(current)
  const waiting = await waitFor('the reason on the ticket', async () => {
    const ticket = await current.store.read.findTicket({ ticketId: mirrored.id })
    return ticket?.reason === 'tracker_failed' ? ticket : undefined
  })
  expect(waiting.status).toBe('running')
  expect((await current.coordinator.health()).figures.heldRunCount).toBe(0)
  expect(await current.waitForTicket(mirrored.id)).toMatchObject({
    status: 'done',
    runCount: 1,
    reason: null,
  })
})

test('what a tracker refuses for good fails with what mends it, is not repeated, and nothing is written back', async () => {
  const current = await begin()
  put({ title: 'fake-take-refused' })
  await current.start()
  const ended = await current.waitForTicket((await waitForMirrored(current)).id)
  expect(ended).toMatchObject({
    status: 'failed',
    reason: 'tracker_refused',
    detail: 'take is refused, as the title asks; change the title',
    runCount: 1,
  })
  expect(await current.store.read.listEffects({ ticketId: ended.id })).toEqual([])
  expect(board.find('7')?.word).toBeUndefined()
})

test('a table that was renamed or dropped is waited for: no ticket fails for it, and no result is lost', async () => {
  const tried = new Set<string>()
  const refuseAtFirst = (verb: string) => {
    if (tried.has(verb)) return
    tried.add(verb)
    throw new TrackerError('tracker_misfit', `${verb}: there is no table "tickets"`)
  }
  const current = await begin({
    wrap: (tracker) => ({
      ...tracker,
      async take(input, signal) {
        refuseAtFirst('take')
        return await tracker.take(input, signal)
      },
      async writeBack(input, signal) {
        refuseAtFirst('writeBack')
        return await tracker.writeBack(input, signal)
      },
    }),
  })
  put()
  await current.start()
  const { id: ticketId } = await waitForMirrored(current)
  expect(await current.waitForTicket(ticketId)).toMatchObject({ status: 'done', runCount: 1 })
  await waitForWord('done')
  expect([...tried]).toEqual(['take', 'writeBack'])
})

test('a tracker that is not configured any more: its tickets fail and say what to do', async () => {
  const current = await begin({ trackers: { find: () => undefined }, mirrors: [] })
  const [mirrored] = await current.store.write.mirrorTickets({
    tracker: 'gone',
    projectId: current.project.id,
    tickets: [SEVEN],
    readAt: current.store.now(),
    actor: 'tracker:gone',
  })
  await current.start()
  const ended = await current.waitForTicket(mirrored?.ticketId as Ticket['id'])
  expect(ended).toMatchObject({ status: 'failed', reason: 'tracker_refused' })
  expect(ended.detail).toContain('tracker gone is not configured')
})

test('P18: a ticket that is not there when it is to be taken waits, and is done when it is there again', async () => {
  let isHidden = true
  const current = await begin({
    wrap: (tracker) => ({
      ...tracker,
      take: async (input, signal) =>
        isHidden ? { kind: 'absent' as const } : await tracker.take(input, signal),
    }),
  })
  put()
  await current.start()
  const mirrored = await waitForMirrored(current)
  await waitFor('the reason on the ticket', async () => {
    const ticket = await current.store.read.findTicket({ ticketId: mirrored.id })
    return ticket?.reason === 'gone_from_tracker' ? ticket : undefined
  })
  isHidden = false
  expect((await current.waitForTicket(mirrored.id)).status).toBe('done')
})

test('a wait is written back where there is a word for it, and taken again when it goes on', async () => {
  const current = await begin({ words: { waiting: ['paused'] } })
  put({ workflow: 'approved' })
  await current.start()
  const mirrored = await waitForMirrored(current)
  await waitForWord('paused')
  const [wait] = await current.store.read.listOpenWaits({})
  if (wait === undefined) throw new Error('nothing waits')
  await current.store.write.resolveWait({
    waitId: wait.id,
    actor: 'me',
    resolution: { kind: 'succeeded', outputs: {} },
  })
  await current.waitForTicket(mirrored.id)
  await waitForWord('done')
})

test('canceled here before it was taken: canceled there, so that nobody begins', async () => {
  const current = await begin()
  put({ workflow: 'external' })
  await current.start()
  const mirrored = await waitForMirrored(current)
  await current.store.write.cancelTicket({ ticketId: mirrored.id, actor: 'me', detail: 'not needed' })
  expect(await waitForWord('canceled')).toMatchObject({
    by: null,
    error: 'canceled_by_person: not needed',
  })
})

test('canceled there while it waits here: canceled here, and left as it stands there', async () => {
  const current = await begin()
  put({ workflow: 'approved' })
  await current.start()
  const mirrored = await waitForMirrored(current)
  await waitFor('the wait', async () => (await current.store.read.listOpenWaits({})).at(0))
  // Under our own mark still: whoever changes a state seldom thinks of the mark.
  put({ workflow: 'approved', word: 'canceled' })
  expect(await current.waitForTicket(mirrored.id)).toMatchObject({
    status: 'canceled',
    reason: 'canceled_by_person',
    detail: 'canceled there: it stands as "canceled" in tracker legacy',
  })
  await waitFor('the outbox to be empty', async () => {
    const { pendingEffectCount } = await current.store.read.getFigures()
    return pendingEffectCount === 0 ? true : undefined
  })
  expect(board.find('7')).toMatchObject({ word: 'canceled', by: toMark(mirrored.id), error: null })
})

test('a failed ticket that a person puts back here is taken there once more', async () => {
  const current = await begin()
  put({ workflow: null })
  await current.start()
  const { id: ticketId } = await current.waitForTicket((await waitForMirrored(current)).id)
  await waitForWord('failed')
  await current.store.write.updateTicket({ ticketId, changes: { workflow: 'one' }, actor: 'me' })
  await current.store.write.retryTicket({ ticketId, actor: 'me' })
  expect((await current.waitForTicket(ticketId)).status).toBe('done')
  expect(await waitForWord('done')).toMatchObject({ error: null })
})

test('P1: a result that cannot be written back is tried until it stands there', async () => {
  const current = await begin()
  put({ title: 'fake-write-back-fails-2' })
  await current.start()
  const ended = await current.waitForTicket((await waitForMirrored(current)).id)
  expect(ended.status).toBe('done')
  await waitForWord('done')
  const [effect] = await current.store.read.listEffects({ ticketId: ended.id })
  expect(effect).toMatchObject({ attemptCount: 3 })
})

test('a result that a tracker refuses is given up at once, and health says so', async () => {
  const current = await begin()
  put({ title: 'fake-write-back-refused' })
  await current.start()
  const ended = await current.waitForTicket((await waitForMirrored(current)).id)
  const effect = await waitFor('the end of the effect', async () => {
    const [found] = await current.store.read.listEffects({ ticketId: ended.id, statuses: ['dead'] })
    return found
  })
  expect(effect).toMatchObject({ attemptCount: 1, reason: 'tracker_refused' })
  expect(effect.detail).toContain('change the title')
  expect((await current.coordinator.health()).figures.deadEffectCount).toBe(1)
})

test('U3: what a stale run would write back changes nothing that somebody else has decided', async () => {
  let isOpen = false
  const gate = Promise.withResolvers<void>()
  const current = await begin({
    wrap: (tracker) => ({
      ...tracker,
      writeBack: async (input, signal) => {
        if (!isOpen) await gate.promise
        return await tracker.writeBack(input, signal)
      },
    }),
  })
  put()
  await current.start()
  const ended = await current.waitForTicket((await waitForMirrored(current)).id)
  expect(ended.status).toBe('done')
  put({ word: 'in_progress', by: 'bob', result: { theirs: true } })
  isOpen = true
  gate.resolve()
  await waitFor('the effect', async () => {
    const [effect] = await current.store.read.listEffects({ ticketId: ended.id, statuses: ['done'] })
    return effect
  })
  expect(board.find('7')).toMatchObject({ word: 'in_progress', by: 'bob', result: { theirs: true } })
  expect(await current.store.read.findExternalRef({ ticketId: ended.id })).toMatchObject({
    standing: 'elsewhere',
  })
})

// ---------------------------------------------------------------- outside agents

/** A claim of an outside agent, before it is given out. */
async function claimOutside(current: TestCoordinator, changes: Partial<FakeTicket> = {}) {
  put({ workflow: 'external', ...changes })
  await current.start()
  const { id: ticketId } = await waitForMirrored(current)
  const claim = await current.store.write.claimTicket({ ticketId, holder: 'agent:a', leaseTtlMs: 30_000 })
  if (claim === undefined) throw new Error('nothing was claimed')
  return claim
}

const findTicket = async ({ store }: TestCoordinator, { ticket }: { ticket: Ticket }) =>
  await store.read.findTicket({ ticketId: ticket.id })

test('the claim of an outside agent is taken there under the same mark, and its result written back', async () => {
  const current = await begin()
  const claim = await claimOutside(current)
  expect(await current.coordinator.takeTicket(claim)).toEqual({ kind: 'taken' })
  expect(board.find('7')).toMatchObject({ word: 'in_progress', by: toMark(claim.ticket.id) })
  const proof = { runId: claim.run.id, holder: 'agent:a', epoch: 1 }
  const outputs = { commit: '0f3a' }
  await current.store.write.finishRun({ ...proof, outcome: { status: 'succeeded', outputs, ticket: 'done' } })
  expect(await waitForWord('done')).toMatchObject({ result: outputs })
})

test('U2: a claim of an outside agent whose comparison is lost is over, with its reason', async () => {
  const current = await begin()
  const claim = await claimOutside(current, { title: 'fake-take-lost' })
  expect(await current.coordinator.takeTicket(claim)).toMatchObject({ kind: 'left' })
  expect(await findTicket(current, claim)).toMatchObject({ status: 'canceled', reason: 'taken_elsewhere' })
})

test('a claim of an outside agent goes back into the queue, uncounted, while the tracker is away', async () => {
  const current = await begin()
  const claim = await claimOutside(current, { title: 'fake-take-fails-1' })
  expect(await current.coordinator.takeTicket(claim)).toMatchObject({ kind: 'left' })
  expect(await findTicket(current, claim)).toMatchObject({
    status: 'pending',
    reason: 'tracker_failed',
    runCount: 0,
  })
})

test('an outside agent that gives its ticket back keeps it ours there, for the next one', async () => {
  const current = await begin()
  const claim = await claimOutside(current)
  await current.coordinator.takeTicket(claim)
  await current.store.write.releaseRun({ runId: claim.run.id, holder: 'agent:a', epoch: 1 })
  expect(board.find('7')).toMatchObject({ word: 'in_progress', by: toMark(claim.ticket.id) })
  const next = await current.store.write.claimTicket({
    ticketId: claim.ticket.id,
    holder: 'agent:b',
    leaseTtlMs: 30_000,
  })
  if (next === undefined) throw new Error('nothing was claimed')
  expect(await current.coordinator.takeTicket(next)).toEqual({ kind: 'taken' })
})

// ---------------------------------------------------------------- a crash between the two halves

/** A claim of a coordinator that died: before it took the ticket there, or after, without recording it. */
async function leaveHalfDone(
  current: TestCoordinator,
  half: 'claimed' | 'taken' | 'recorded',
): Promise<Ticket> {
  const { store, project } = current
  put()
  await store.write.mirrorTickets({
    tracker: 'legacy',
    projectId: project.id,
    tickets: [SEVEN],
    readAt: store.now(),
    actor: 'tracker:legacy',
  })
  const claim = await store.write.claimNext({ holder: 'dead-coordinator', leaseTtlMs: 30_000 })
  if (claim === undefined) throw new Error('nothing to claim')
  if (half !== 'claimed') put({ word: 'in_progress', by: toMark(claim.ticket.id) })
  if (half === 'recorded') {
    const proof = { runId: claim.run.id, holder: 'dead-coordinator', epoch: claim.run.lease.epoch }
    await store.write.recordTake({ ...proof, word: 'in_progress' })
  }
  return claim.ticket
}

test.each(['claimed', 'taken', 'recorded'] as const)(
  'U5: a coordinator that died when the ticket was %s: the next one goes on with it, and nothing stays in progress',
  async (half) => {
    const current = await begin()
    const ticket = await leaveHalfDone(current, half)
    await current.start()
    expect(await current.waitForTicket(ticket.id)).toMatchObject({ status: 'done', runCount: 1 })
    expect(await waitForWord('done')).toMatchObject({ by: toMark(ticket.id) })
  },
)

test('U5: taken, and its tracker then removed from the configuration: told when it is there again', async () => {
  let isConfigured = false
  const find = () => (isConfigured ? createFakeTracker({ name: 'legacy', board }) : undefined)
  const current = await begin({ trackers: { find }, mirrors: [] })
  const { id: ticketId } = await leaveHalfDone(current, 'recorded')
  await current.start()
  expect((await current.waitForTicket(ticketId)).detail).toContain('tracker legacy is not configured')
  await waitFor('what could not be told', async () =>
    (await current.store.read.listEffects({ ticketId, statuses: ['dead'] })).at(0),
  )
  expect(board.find('7')).toMatchObject({ word: 'in_progress' })
  isConfigured = true
  await current.store.write.reviveWriteBacks({ tracker: 'legacy' })
  expect(await waitForWord('failed')).toMatchObject({ by: null })
})

test('U5: a store that fails between the halves: taken there, recorded with the next try', async () => {
  let left = 2
  const current = await begin({
    onWrite: (name: keyof StoreWriter) => {
      if (name !== 'recordTake' || left-- <= 0) return
      throw new StoreError('disk_full', 'no room on the disk')
    },
  })
  put()
  await current.start()
  const ended = await current.waitForTicket((await waitForMirrored(current)).id)
  expect(ended.status).toBe('done')
  await waitForWord('done')
})

test('P4: a claim that was lost to another coordinator takes nothing in its name', async () => {
  const current = await begin()
  const ticket = await leaveHalfDone(current, 'recorded')
  await current.start()
  const ended = await current.waitForTicket(ticket.id)
  const runs = await current.store.read.listRuns({ ticketId: ticket.id })
  expect(runs.items).toHaveLength(1)
  expect(ended.status).toBe('done')
  const proof = { runId: runs.items[0]?.id as never, holder: 'dead-coordinator', epoch: 1 }
  await expect(current.store.write.recordTake({ ...proof, word: 'in_progress' })).rejects.toMatchObject({
    code: 'lease_lost',
  })
})
