import { expect, test } from 'vitest'
import { takeTicket } from '../../src/coordinator/take-ticket.ts'
import { writeBackTicket } from '../../src/engine/write-back-ticket.ts'
import { createLogger } from '../../src/platform/log.ts'
import { createFakeBoard, createFakeTracker } from '../../src/tracker/fake/create-fake-tracker.ts'
import { claim, createTestProject, LEASE_TTL_MS, STORES } from '../support/store.ts'

const TICKET = {
  externalId: 'T-1',
  word: 'pending',
  title: 'One',
  body: '',
  type: 'task',
  labels: [],
  priority: 3,
  workflow: null,
  agent: null,
  inputs: {},
  createdAt: null,
}

/** A mirrored ticket on a board, in a store of its own. */
async function openScene() {
  const test_ = await (STORES[0] ?? expect.fail('no store')).open()
  const { store } = test_
  const board = createFakeBoard()
  board.put(TICKET)
  const tracker = createFakeTracker({ board })
  const project = await createTestProject(store)
  const mirrored = { tracker: 'fake', projectId: project.id, tickets: [TICKET], readAt: 0, actor: 'mirror' }
  await store.write.mirrorTickets(mirrored)
  const deps = {
    store,
    trackers: { find: () => tracker },
    logger: createLogger({ level: 'silent' }),
    randomNumber: () => 0,
  }
  const { signal } = new AbortController()
  return { ...test_, board, deps, signal, [Symbol.asyncDispose]: () => test_[Symbol.asyncDispose]() }
}

test('U5: a ticket that is put back while its end is being told there is taken once that is told', async () => {
  await using scene = await openScene()
  const { store, clock, board, deps, signal } = scene
  const before = await claim(store, 'one')
  await takeTicket(deps, before, before.proof, signal)
  const { id: ticketId } = before.ticket
  await store.write.cancelTicket({ ticketId, actor: 'ann' })
  await store.write.finishRun({
    ...before.proof,
    outcome: { status: 'canceled', reason: 'canceled_by_person', detail: 'canceled' },
  })
  const [effect] = await store.write.claimEffects({ countMax: 1 })
  if (effect === undefined) expect.fail('nothing is written back')
  await store.write.retryTicket({ ticketId, actor: 'ann' })
  const early = await claim(store, 'one')
  expect(await takeTicket(deps, early, early.proof, signal)).toMatchObject({ kind: 'left' })
  expect((await store.read.findTicket({ ticketId }))?.status).not.toBe('canceled')

  const end = await writeBackTicket(deps, { ticketId }, signal)
  if (end.kind !== 'done') expect.fail(end.detail)
  await store.write.completeEffect({ effectId: effect.id, outcome: end.outcome })
  clock.advance(60_000)
  const again = await claim(store, 'one')
  expect(await takeTicket(deps, again, again.proof, signal)).toEqual({ kind: 'taken' })
  expect(board.find('T-1')?.word).toBe('in_progress')
})

test('U9: a coordinator that comes back too late takes nothing in the tracker that others have ended since', async () => {
  await using scene = await openScene()
  const { store, clock, board, deps, signal } = scene
  const late = await claim(store, 'frozen')
  clock.advance(LEASE_TTL_MS)
  await store.write.expireLeases({ runCountMax: 3, retryDelayMs: 0 })
  const next = await claim(store, 'living')
  await takeTicket(deps, next, next.proof, signal)
  await store.write.finishRun({
    ...next.proof,
    outcome: { status: 'succeeded', outputs: {}, ticket: 'done' },
  })
  const [effect] = await store.write.claimEffects({ countMax: 1 })
  if (effect === undefined) expect.fail('nothing is written back')
  board.put({ ...TICKET, word: 'done' })
  const { id: ticketId } = next.ticket
  await store.write.completeEffect({
    effectId: effect.id,
    outcome: { kind: 'written_back', ticketId, word: 'done', standing: 'ours', status: 'done', result: {} },
  })

  await expect(takeTicket(deps, late, late.proof, signal)).rejects.toMatchObject({ code: 'lease_lost' })
  expect(board.find('T-1')?.word).toBe('done')
})
