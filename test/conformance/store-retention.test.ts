/** What retention may remove, and what it never does: what every store promises. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RunId } from '../../src/domain/id.ts'
import type { LeaseProof } from '../../src/domain/run.ts'
import type { Store } from '../../src/store/contract.ts'
import {
  beginAttempt,
  beginScene,
  openApproval,
  type RunningScene,
  STORES,
  type TestStore,
} from '../support/store.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const NOTHING_KEPT = { countMax: null, keepCount: 0 }

for (const { name, open } of STORES) {
  describe(name, () => {
    let test_: TestStore
    let store: Store

    beforeEach(async () => {
      test_ = await open()
      store = test_.store
    })
    afterEach(async () => await test_[Symbol.asyncDispose]())

    const seqsOf = async (ticketId?: RunningScene['ticket']['id']) =>
      (
        await store.read.listEvents({
          afterSeq: 0,
          countMax: 500,
          ...(ticketId === undefined ? {} : { ticketId }),
        })
      ).map(({ seq }) => seq)

    const listAll = async (cutSeq: number) =>
      await store.read.listPrunableEvents({ afterSeq: 0, cutSeq, countMax: 500 })

    test('P2: events go by age and by number, and the newest always stay', async () => {
      const { proof } = await beginScene(store)
      await finish(store, proof)
      const old = await seqsOf()
      test_.clock.advance(10 * DAY_MS)
      await finish(store, (await beginScene(store)).proof)
      const all = await seqsOf()
      const last = all.at(-1) ?? 0
      const now = store.now()

      const cut = (before: number | null, countMax: number | null, keepCount = 0) =>
        store.read.findEventCut({ before, countMax, keepCount })
      expect(await cut(now - DAY_MS, null)).toBe(old.at(-1))
      expect(await cut(now - 11 * DAY_MS, null)).toBe(0)
      expect(await cut(null, null)).toBe(0)
      expect(await cut(now + 1, null)).toBe(last)
      expect(await cut(now + 1, null, 3)).toBe(last - 3)
      expect(await cut(null, 5)).toBe(last - 5)
      expect(await cut(null, 5, 1_000_000)).toBe(0)

      const seqs = await listAll(await cut(now - DAY_MS, null))
      expect(seqs).toEqual(old)
      expect(
        await store.read.listPrunableEvents({ afterSeq: old[1] ?? 0, cutSeq: last, countMax: 2 }),
      ).toEqual(all.slice(2, 4))
      expect(await store.write.pruneEvents({ seqs })).toBe(old.length)
      expect(await store.write.pruneEvents({ seqs })).toBe(0)
      expect(await seqsOf()).toEqual(all.slice(old.length))
    })

    test('P2: no event of a ticket that has not ended is removed, also when it is named', async () => {
      const open = await beginScene(store)
      const ended = await beginScene(store)
      await finish(store, ended.proof)
      test_.clock.advance(10 * DAY_MS)
      const cut = await store.read.findEventCut({ before: store.now(), ...NOTHING_KEPT })
      const before = await seqsOf(open.ticket.id)
      expect((await listAll(cut)).filter((seq) => before.includes(seq))).toEqual([])
      await store.write.pruneEvents({ seqs: await seqsOf() })
      expect(await seqsOf(open.ticket.id)).toEqual(before)
      expect(await seqsOf(ended.ticket.id)).toEqual([])

      // One that a person put back has not ended any more.
      const { ticket, proof } = await beginScene(store)
      await store.write.finishRun({
        ...proof,
        outcome: { status: 'failed', reason: 'agent_failed', detail: 'x', ticket: { kind: 'dead' } },
      })
      await store.write.retryTicket({ ticketId: ticket.id, actor: 'test' })
      const kept = await seqsOf(ticket.id)
      await store.write.pruneEvents({ seqs: kept })
      expect(await seqsOf(ticket.id)).toEqual(kept)
    })

    test('the greatest place that was removed is told, and the sequence never goes back', async () => {
      expect(await store.read.findPrunedSeq()).toBe(0)
      await finish(store, (await beginScene(store)).proof)
      const all = await seqsOf()
      const last = all.at(-1) ?? 0
      await store.write.pruneEvents({ seqs: all.slice(0, 3) })
      expect(await store.read.findPrunedSeq()).toBe(all[2])
      await store.write.pruneEvents({ seqs: all.slice(0, 4) })
      await store.write.pruneEvents({ seqs: all.slice(0, 2) })
      expect(await store.read.findPrunedSeq()).toBe(all[3])
      await store.write.pruneEvents({ seqs: all.slice(0, -1) })
      const { ticket } = await beginScene(store)
      expect(Math.min(...(await seqsOf(ticket.id)))).toBeGreaterThan(last)
      expect((await store.read.getFigures()).lastEventSeq).toBeGreaterThan(last)
    })

    test('P2: what an ended run left goes a few rows at a time; run, ticket and what was spent stay', async () => {
      const { proof, ticket, runId } = await beginRichRun(store)
      await finish(store, proof)
      test_.clock.advance(10 * DAY_MS)
      const endedBefore = store.now() - DAY_MS
      expect(await store.read.listPrunableRuns({ endedBefore: endedBefore - 10 * DAY_MS })).toEqual([])
      expect(await store.read.listPrunableRuns({ endedBefore })).toEqual([runId])
      expect(await store.read.listPrunableRuns({ endedBefore, afterRunId: runId })).toEqual([])

      let callCount = 0
      let rowCount = 0
      for (let isDone = false; !isDone; callCount += 1) {
        const pruned = await store.write.pruneRun({ runId, endedBefore, countMax: 2 })
        expect(pruned.rowCount).toBeLessThanOrEqual(4)
        rowCount += pruned.rowCount
        isDone = pruned.isDone
      }
      expect(rowCount).toBeGreaterThanOrEqual(8)
      expect(callCount).toBeGreaterThan(3)
      expect(await store.read.listPrunableRuns({ endedBefore })).toEqual([])
      expect(await store.read.listStepInstances(runId)).toEqual([])
      expect(await store.read.listAttempts({ runId })).toEqual([])
      expect(await store.read.listSandboxEntries({ runId })).toEqual([])
      expect(await store.read.findRun(runId)).toMatchObject({ status: 'succeeded' })
      expect(await store.read.findTicket({ ticketId: ticket.id })).toMatchObject({ status: 'done' })
      expect(await store.read.listUsage(runId)).toEqual([
        expect.objectContaining({ model: 'm', inputTokenCount: 6, costMicroUsd: 9, stepInstanceId: null }),
      ])
    })

    test('P2: nothing of a run is removed while its ticket has not ended, or a sandbox of it may live', async () => {
      const { proof, runId } = await beginRichRun(store, { isSandboxGone: false })
      test_.clock.advance(10 * DAY_MS)
      const endedBefore = store.now()
      const prune = () => store.write.pruneRun({ runId, endedBefore, countMax: 100 })
      expect(await store.read.listPrunableRuns({ endedBefore })).toEqual([])
      expect(await prune()).toEqual({ rowCount: 0, isDone: true })
      await finish(store, proof)
      expect(await prune()).toEqual({ rowCount: 0, isDone: true })
      test_.clock.advance(1)
      expect(await store.read.listPrunableRuns({ endedBefore: store.now() })).toEqual([])
      expect(await store.write.pruneRun({ runId, endedBefore: store.now(), countMax: 100 })).toEqual({
        rowCount: 0,
        isDone: true,
      })
      expect((await store.read.listStepInstances(runId)).length).toBe(2)
    })

    test('when a run ended is told for those that are there', async () => {
      const open = await beginScene(store)
      const ended = await beginScene(store)
      await finish(store, ended.proof)
      const ends = await store.read.listRunEnds({
        runIds: [open.runId, ended.runId, 'run_unknown' as RunId],
      })
      expect(new Map(ends.map(({ runId, endedAt }) => [runId, endedAt]))).toEqual(
        new Map([
          [open.runId, null],
          [ended.runId, store.now()],
        ]),
      )
      expect(await store.read.listRunEnds({ runIds: [] })).toEqual([])
    })
  })
}

async function finish(store: Store, proof: LeaseProof): Promise<void> {
  await store.write.finishRun({ ...proof, outcome: { status: 'succeeded', outputs: {}, ticket: 'done' } })
}

/** A run that has a row in nearly every table. */
async function beginRichRun(store: Store, { isSandboxGone = true } = {}): Promise<RunningScene> {
  const scene = await beginScene(store)
  const { proof, runId, ticket } = scene
  const { instance, attempt } = await beginAttempt(store, proof)
  const host = await store.write.registerHost({
    name: 'h',
    holder: proof.holder,
    pid: 1,
    bootId: 'b',
    slotCount: 1,
  })
  const sandboxId = 'sbx_1' as Parameters<Store['write']['createSandboxEntry']>[0]['id']
  await store.write.createSandboxEntry({
    ...proof,
    id: sandboxId,
    hostId: host.id,
    driver: 'fake',
    stepInstanceId: instance.id,
    attemptId: attempt.id,
  })
  await store.write.createToken({
    name: 't',
    scopes: ['run'],
    expiresAt: null,
    secretHash: 'a'.repeat(64),
    runId,
    actor: 'test',
  })
  for (const number of [1, 2, 3]) {
    await store.write.addUsage({
      runId,
      stepInstanceId: instance.id,
      attempt: number,
      model: 'm',
      inputTokenCount: 2,
      outputTokenCount: 1,
      costMicroUsd: 3,
      durationMs: 1,
    })
  }
  await store.write.sendSignal({ runId, name: 's', payload: {}, actor: 'test' })
  await store.write.enqueueEffect({
    key: `sent-${runId}`,
    kind: 'http_request',
    payload: {},
    ticketId: ticket.id,
    runId,
    stepInstanceId: instance.id,
    actor: 'test',
  })
  const [effect] = await store.write.claimEffects({ countMax: 1 })
  if (effect === undefined) throw new Error('the effect was not due')
  await store.write.completeEffect({ effectId: effect.id, outcome: { kind: 'plain', result: {} } })
  await store.write.succeedAttempt({
    ...proof,
    attemptId: attempt.id,
    outputs: {},
    artifacts: [{ name: 'a', path: 'artifacts/a', byteCount: 1, sha256: 'b'.repeat(64) }],
  })
  if (isSandboxGone) await store.write.markSandbox({ sandboxId, status: 'gone' })
  const { waitId } = await openApproval(store, proof)
  await store.write.resolveWait({
    waitId,
    actor: 'test',
    resolution: { kind: 'succeeded', outputs: {} },
  })
  return scene
}
