import { expect, test } from 'vitest'
import { takeTicket } from '../../src/coordinator/take-ticket.ts'
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

test('U9: a coordinator that comes back too late takes nothing in the tracker that others have ended since', async () => {
  await using test_ = await (STORES[0] ?? expect.fail('no store')).open()
  const { store, clock } = test_
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
