/** The loop that keeps the store in line with a tracker, look by look. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { TrackerMirror, type TrackerMirrorSettings } from '../../src/coordinator/tracker-mirror.ts'
import type { RunId } from '../../src/domain/id.ts'
import type { Project } from '../../src/domain/project.ts'
import type { LeaseProof } from '../../src/domain/run.ts'
import type { Ticket } from '../../src/domain/ticket.ts'
import type { Store } from '../../src/store/contract.ts'
import type { Tracker } from '../../src/tracker/contract.ts'
import {
  createFakeBoard,
  createFakeTracker,
  type FakeBoard,
} from '../../src/tracker/fake/create-fake-tracker.ts'
import { claim, createTestProject, dump, STORES, type TestStore } from '../support/store.ts'
import { createLogCapture } from '../support/ticket-scene.ts'

let scene: TestStore
let store: Store
let project: Project
let board: FakeBoard
let mirror: TrackerMirror
let log: () => string
let calls: string[]
let canceledRuns: RunId[]
/** What happens after the store was read and before the tracker is */
let beforeCompared: () => Promise<unknown>

beforeEach(async () => {
  const [memory] = STORES
  if (memory === undefined) throw new Error('no store')
  scene = await memory.open()
  store = scene.store
  project = await createTestProject(store)
  board = createFakeBoard({
    words: {
      pending: ['pending', 'ready'],
      running: ['in_progress'],
      review: ['checking'],
      done: ['completed'],
      failed: ['failed'],
      canceled: ['canceled'],
    },
  })
  canceledRuns = []
  beforeCompared = async () => {}
  mirror = createMirror()
})
afterEach(async () => {
  await mirror.stop()
  await scene[Symbol.asyncDispose]()
})

/** A mirror as one start of the coordinator has it. */
function createMirror(settings: Partial<TrackerMirrorSettings> = {}): TrackerMirror {
  const { logger, text } = createLogCapture()
  log = text
  calls = []
  return new TrackerMirror({
    store,
    tracker: withCalls(createFakeTracker({ name: 'legacy', board })),
    settings: { project: project.key, pollIntervalMs: 5_000, mayNameWorkflow: true, ...settings },
    logger,
    cancelRun: (runId) => canceledRuns.push(runId),
  })
}

function withCalls(tracker: Tracker): Tracker {
  return {
    ...tracker,
    fetchByStates: async (input, signal) => {
      const page = await tracker.fetchByStates(input, signal)
      calls.push(page.kind)
      return page
    },
    fetchByIds: async (ids, signal) => {
      calls.push('fetchByIds')
      await beforeCompared()
      return await tracker.fetchByIds(ids, signal)
    },
  }
}

async function look(afterMs = 5_000): Promise<void> {
  scene.clock.advance(afterMs)
  await mirror.poll()
}

async function find(externalId: string): Promise<Ticket> {
  const ref = await store.read.findExternalRef({ tracker: 'legacy', externalId })
  const ticket = ref && (await store.read.findTicket({ ticketId: ref.ticketId }))
  if (ticket === undefined) throw new Error(`${externalId} is not mirrored`)
  return ticket
}

/** Takes the next ticket as the executor does, and gives what its holder proves it with. */
async function take(): Promise<LeaseProof> {
  const { ticket, proof } = await claim(store)
  const externalId = ticket.externalId ?? ''
  board.put({ ...board.find(externalId), title: ticket.title, externalId, word: 'in_progress', by: 'swarm' })
  scene.clock.advance(1)
  await store.write.recordTake({ ...proof, word: 'in_progress' })
  return proof
}

function addTickets(...externalIds: readonly string[]): void {
  for (const externalId of externalIds) board.put({ externalId, title: `Ticket ${externalId}` })
}

async function listStatuses(): Promise<Record<string, string>> {
  const { items } = await store.read.listTickets({})
  return Object.fromEntries(items.map(({ externalId, status }) => [externalId ?? '', status]))
}

test('what stands open there becomes tickets, whatever word says so', async () => {
  addTickets('1', '2')
  board.put({ externalId: '3', title: 'Three', word: 'ready', priority: 1 })
  board.put({ externalId: '4', title: 'Four', word: 'in_progress' })
  await look()
  expect(await listStatuses()).toEqual({ 1: 'pending', 2: 'pending', 3: 'pending' })
  expect(mirror.report).toMatchObject({
    name: 'legacy',
    kind: 'fake',
    isOk: true,
    problem: null,
    openThereCount: 3,
    openHereCount: 3,
    mirroredCount: 3,
    lastPollAt: store.now(),
  })
})

test('more tickets than a page holds are all mirrored, in the order of their age', async () => {
  for (let i = 0; i < 1_203; i++) {
    board.put({ externalId: `t${i}`, title: `Ticket ${i}`, createdAt: 1_000_000 - i })
  }
  await look()
  expect(mirror.report.mirroredCount).toBe(1_203)
  expect((await claim(store)).ticket.externalId).toBe('t1202')
})

test('P10: a board on which nothing happens costs one question, and nothing is written', async () => {
  addTickets('1', '2')
  await look()
  const before = await dump(scene)
  calls.length = 0
  for (let i = 0; i < 3; i++) await look()
  expect(calls).toEqual(['unchanged', 'unchanged', 'unchanged'])
  expect(await dump(scene)).toBe(before)
})

test('U23: an empty board is healthy', async () => {
  await look()
  expect(mirror.report).toMatchObject({ isOk: true, problem: null, openThereCount: 0 })
})

test('a row that cannot be mirrored is said once, and costs no other row', async () => {
  addTickets('1')
  board.put({ externalId: '2', title: ' ' })
  await look()
  addTickets('3')
  await look()
  expect(await listStatuses()).toEqual({ 1: 'pending', 3: 'pending' })
  expect(mirror.report.notes).toEqual([
    { externalId: '2', severity: 'refused', problem: 'its title is empty', fix: 'give it a title' },
  ])
  expect(mirror.report.isOk).toBe(true)
  expect(log().match(/its title is empty/g)).toHaveLength(1)
})

test('U2: a ticket that somebody else took there is canceled here before anybody begins', async () => {
  addTickets('1', '2')
  await look()
  board.put({ externalId: '1', title: 'Ticket 1', word: 'in_progress', by: 'bob' })
  await look()
  expect(await find('1')).toMatchObject({
    status: 'canceled',
    reason: 'taken_elsewhere',
    detail: 'it stands as "in_progress" in tracker legacy',
  })
  expect((await find('2')).status).toBe('pending')
  expect(await store.read.listEffects({})).toEqual([])
})

test('one that is put back there is queued anew here, and comes back as often as that happens', async () => {
  addTickets('1')
  await look()
  for (const word of ['in_progress', 'completed', 'on_hold']) {
    board.put({ externalId: '1', title: 'Ticket 1', word })
    await look()
    expect((await find('1')).status).toBe('canceled')
    board.put({ externalId: '1', title: 'Ticket 1', word: 'ready' })
    await look()
    expect((await find('1')).status).toBe('pending')
  }
})

test('U2: a ticket that is being taken at this moment is not canceled for it', async () => {
  addTickets('1')
  await look()
  const { proof } = await claim(store)
  board.put({ externalId: '1', title: 'Ticket 1', word: 'in_progress', by: 'swarm' })
  await look()
  expect((await find('1')).status).toBe('running')
  await store.write.recordTake({ ...proof, word: 'in_progress' })
  await look()
  expect((await find('1')).status).toBe('running')
  expect(mirror.report.notes).toEqual([])
})

test('U2: a ticket that is claimed and taken here while it is compared is not canceled for it', async () => {
  addTickets('1')
  await look()
  board.put({ externalId: '1', title: 'Ticket 1', word: 'on_hold' })
  beforeCompared = async () => {
    beforeCompared = async () => {}
    await take()
  }
  await look()
  expect((await find('1')).status).toBe('running')
  expect(canceledRuns).toEqual([])
})

test('a run that waits for its tracker in the queue is not canceled for what is there', async () => {
  addTickets('1')
  await look()
  const proof = await take()
  await store.write.releaseRun({ ...proof, reason: 'tracker_failed', detail: 'locked', notBefore: 0 })
  await look()
  expect((await find('1')).status).toBe('running')
})

test('canceled there: the run here is asked to end, with that reason, and nothing is written over it', async () => {
  addTickets('1')
  await look()
  const proof = await take()
  board.put({ externalId: '1', title: 'Ticket 1', word: 'canceled' })
  await look()
  expect(canceledRuns).toEqual([proof.runId])
  expect((await store.read.findRun(proof.runId))?.cancelRequestedAt).not.toBeNull()
  await store.write.finishRun({
    ...proof,
    outcome: { status: 'canceled', reason: 'canceled_by_person', detail: 'obeyed' },
  })
  expect(await find('1')).toMatchObject({
    status: 'canceled',
    reason: 'canceled_by_person',
    detail: 'canceled there: it stands as "canceled" in tracker legacy',
  })
  expect(await store.read.findExternalRef({ tracker: 'legacy', externalId: '1' })).toMatchObject({
    standing: 'elsewhere',
    word: 'canceled',
  })
})

test('what we have just written back, and not recorded yet, is not somebody else’s change', async () => {
  addTickets('1')
  await look()
  const proof = await take()
  await store.write.finishRun({ ...proof, outcome: { status: 'succeeded', outputs: {}, ticket: 'review' } })
  board.put({ externalId: '1', title: 'Ticket 1', word: 'checking' })
  await look()
  expect(mirror.report.notes).toEqual([])
  expect((await find('1')).status).toBe('review')
})

test('changed there in another way while it is worked on: said, not obeyed', async () => {
  addTickets('1')
  await look()
  await take()
  board.put({ externalId: '1', title: 'Ticket 1', word: 'completed', by: 'bob' })
  await look()
  expect((await find('1')).status).toBe('running')
  expect(mirror.report.notes).toMatchObject([{ externalId: '1', severity: 'note' }])
  expect(mirror.report.notes[0]?.problem).toContain('changed by somebody else')
})

test('put back there while it is worked on: seen again once the work has ended', async () => {
  addTickets('1')
  await look()
  const proof = await take()
  board.put({ externalId: '1', title: 'Ticket 1', word: 'pending', by: null })
  await look()
  expect((await find('1')).status).toBe('running')
  await store.write.finishRun({
    ...proof,
    outcome: { status: 'failed', reason: 'agent_failed', detail: 'no', ticket: { kind: 'fail' } },
  })
  await look()
  expect((await find('1')).status).toBe('pending')
})

test('a done ticket that is put back there is said with what to do', async () => {
  addTickets('1')
  await look()
  const proof = await take()
  await store.write.finishRun({ ...proof, outcome: { status: 'succeeded', outputs: {}, ticket: 'done' } })
  board.put({ externalId: '1', title: 'Ticket 1', word: 'pending' })
  await look()
  const { key, status } = await find('1')
  expect(status).toBe('done')
  expect(mirror.report.notes).toMatchObject([
    { externalId: '1', fix: 'make a new ticket there', problem: expect.stringContaining(key) },
  ])
})

test('P18: a ticket that a look missed goes on; one that three looks in half a minute missed is canceled', async () => {
  addTickets('1', '2')
  await look()
  const proof = await take()
  board.remove('1')
  board.remove('2')
  await look(5_000)
  await look(5_000)
  await look(5_000)
  expect(await listStatuses()).toEqual({ 1: 'running', 2: 'pending' })
  addTickets('2')
  await look(5_000)
  board.remove('2')
  await look(15_000)
  // 30 s after the first look that missed both; the second came back in between.
  expect((await find('2')).status).toBe('pending')
  expect(canceledRuns).toEqual([proof.runId])
  await look(15_000)
  await look(15_000)
  expect(await find('2')).toMatchObject({
    status: 'canceled',
    reason: 'gone_from_tracker',
    detail: 'it is not in tracker legacy any more',
  })
})

test('P18: looks at a board on which nothing changes count, and ask for nothing but what is missing', async () => {
  addTickets('1', '2')
  await look()
  board.remove('1')
  await look()
  calls.length = 0
  for (let i = 0; i < 2; i++) await look(15_000)
  expect(calls).toEqual(['unchanged', 'fetchByIds', 'unchanged', 'fetchByIds'])
  expect(await find('1')).toMatchObject({ status: 'canceled', reason: 'gone_from_tracker' })
  calls.length = 0
  await look()
  await look()
  expect(calls).toEqual(['unchanged', 'unchanged'])
})

test('P18: a page that cannot be read ends the look, and nothing that it missed is concluded', async () => {
  addTickets('1', '2')
  await look()
  board.remove('1')
  board.put({ externalId: '3', title: 'fake-page-fails' })
  for (let i = 0; i < 10; i++) await look(30_000)
  expect(await listStatuses()).toEqual({ 1: 'pending', 2: 'pending' })
  expect(mirror.report).toMatchObject({ isOk: false, failureCount: 10 })
  expect(mirror.report.problem).toContain('cannot be read')
})

test('P18: when most are missing at once none is canceled, and it says so until it is mended', async () => {
  addTickets('1', '2', '3', '4', '5', '6')
  await look()
  const kept = board.list()
  for (const { externalId } of kept) board.remove(externalId)
  for (let i = 0; i < 10; i++) await look(60_000)
  expect(new Set(Object.values(await listStatuses()))).toEqual(new Set(['pending']))
  expect(mirror.report.isOk).toBe(false)
  expect(mirror.report.problem).toBe(
    '6 of 6 open tickets are not in the tracker any more: none is canceled; look whether it is the right file and table',
  )
  for (const ticket of kept) board.put(ticket)
  await look()
  expect(mirror.report).toMatchObject({ isOk: true, problem: null })
})

test('a tracker that cannot be reached is unhealthy after a while, and healthy with the first look that comes through', async () => {
  addTickets('1')
  board.isReachable = false
  for (const isOk of [true, true, false]) {
    await look()
    expect(mirror.report).toMatchObject({ isOk, problem: 'tracker legacy cannot be reached' })
  }
  board.isReachable = true
  await look()
  expect(mirror.report).toMatchObject({ isOk: true, problem: null, failureCount: 0, mirroredCount: 1 })
  expect(log().match(/cannot be reached/g)).toHaveLength(1)
})

test('a project that does not exist is said with the command that makes it', async () => {
  addTickets('1')
  mirror = createMirror({ project: 'NONE' })
  await look()
  expect(mirror.report.problem).toContain('swarm project create NONE')
  expect(mirror.report).toMatchObject({ isOk: false, lastPollAt: null })
})

test('while nothing can route its tickets none is mirrored, so no row is spoiled, and health says what to set', async () => {
  addTickets('1', '2')
  mirror = createMirror({ mayNameWorkflow: false })
  await look()
  expect(await listStatuses()).toEqual({})
  expect(mirror.report).toMatchObject({ isOk: false, lastPollAt: null })
  expect(mirror.report.problem).toContain('set trackers.legacy.workflow')
  expect(mirror.report.problem).toContain(`swarm project edit ${project.key} --workflow`)
  expect(calls).toEqual([])

  const changes = { defaultWorkflow: 'linear' }
  await store.write.updateProject({ projectId: project.id, changes, actor: 'test' })
  await look()
  expect(await listStatuses()).toEqual({ 1: 'pending', 2: 'pending' })
  expect(mirror.report).toMatchObject({ isOk: true, problem: null })
})

test('a repository may name the default workflow of its project, so its tickets are mirrored', async () => {
  addTickets('1')
  const changes = { repositoryUrl: '/srv/git/web.git' }
  await store.write.updateProject({ projectId: project.id, changes, actor: 'test' })
  mirror = createMirror({ mayNameWorkflow: false })
  await look()
  expect(await listStatuses()).toEqual({ 1: 'pending' })
})

test('U5: after a restart nothing is forgotten and nothing is doubled', async () => {
  addTickets('1', '2', '3')
  await look()
  await take()
  mirror = createMirror()
  board.put({ externalId: '3', title: 'Ticket 3', word: 'completed', by: 'bob' })
  await look()
  expect(await listStatuses()).toEqual({ 1: 'running', 2: 'pending', 3: 'canceled' })
})

test('what was given up while it was written back is sent again after a restart, once', async () => {
  addTickets('1')
  await look()
  const proof = await take()
  await store.write.finishRun({ ...proof, outcome: { status: 'succeeded', outputs: {}, ticket: 'done' } })
  const [effect] = await store.write.claimEffects({ countMax: 1 })
  if (effect === undefined) throw new Error('nothing to send')
  await store.write.failEffect({ effectId: effect.id, reason: 'tracker_refused', detail: 'a trigger' })
  await look()
  expect((await store.read.findEffect({ effectId: effect.id }))?.status).toBe('dead')
  mirror = createMirror()
  await look()
  expect((await store.read.findEffect({ effectId: effect.id }))?.status).toBe('pending')
})
