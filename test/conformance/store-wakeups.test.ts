import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RunId } from '../../src/domain/id.ts'
import type { LeaseProof } from '../../src/domain/run.ts'
import { LeaseLostError } from '../../src/store/errors.ts'
import {
  beginScene,
  claim,
  createTestProject,
  createTestTicket,
  HOLDER,
  LEASE_TTL_MS,
  openApproval,
  STORES,
  type TestStore,
  toProof,
} from '../support/store.ts'

const HOUR_MS = 3_600_000
const YES = { kind: 'succeeded', outputs: { approved: true } } as const

describe.each(STORES)('wake-ups that must not be lost in $name', ({ open }) => {
  let test_: TestStore
  beforeEach(async () => {
    test_ = await open()
  })
  afterEach(async () => {
    await test_[Symbol.asyncDispose]()
  })

  async function beginTwoApprovals(): Promise<{
    runId: RunId
    proof: LeaseProof
    resolve: (which: 'first' | 'second') => Promise<unknown>
  }> {
    const { store } = test_
    const { runId, proof } = await beginScene(store)
    const first = await openApproval(store, proof, 'first')
    const second = await openApproval(store, proof, 'second')
    const ids = { first: first.waitId, second: second.waitId }
    return {
      runId,
      proof,
      resolve: (which) => store.write.resolveWait({ waitId: ids[which], actor: 'ann', resolution: YES }),
    }
  }

  test('a run is not parked over a wait that resolved since its holder looked', async () => {
    const { store } = test_
    const { runId, proof, resolve } = await beginTwoApprovals()
    const seen = await store.read.loadRunState(runId)
    await resolve('first')
    expect(await store.write.parkRun({ ...proof, openWaitCount: seen?.openWaits.length ?? 0 })).toBe(false)
    expect((await store.read.findRun(runId))?.status).toBe('running')
    expect(await store.write.parkRun({ ...proof, openWaitCount: 1 })).toBe(true)
    await resolve('second')
    expect((await claim(store)).run.id).toBe(runId)
  })

  test('a run that was released for later is claimable at once when a wait of it resolves', async () => {
    const { store, clock } = test_
    const { runId, proof, resolve } = await beginTwoApprovals()
    await store.write.releaseRun({ ...proof, notBefore: clock.now() + HOUR_MS, openWaitCount: 2 })
    expect(await store.write.claimNext({ holder: HOLDER, leaseTtlMs: LEASE_TTL_MS })).toBeUndefined()
    await resolve('first')
    expect((await claim(store)).run.id).toBe(runId)
    const items = await store.read.listEvents({ afterSeq: 0, countMax: 1000 })
    expect(items.filter(({ type }) => type === 'run.resumed')).toHaveLength(1)
  })

  test('a release for later is for now when a wait resolved since its holder looked', async () => {
    const { store, clock } = test_
    const { runId, proof, resolve } = await beginTwoApprovals()
    await resolve('first')
    await store.write.releaseRun({ ...proof, notBefore: clock.now() + HOUR_MS, openWaitCount: 2 })
    expect((await claim(store)).run.id).toBe(runId)
  })

  test('a delay without anything resolved meanwhile is kept', async () => {
    const { store, clock } = test_
    const { runId, proof } = await beginTwoApprovals()
    await store.write.releaseRun({ ...proof, notBefore: clock.now() + HOUR_MS, openWaitCount: 2 })
    clock.advance(HOUR_MS - 1)
    expect(await store.write.claimNext({ holder: HOLDER, leaseTtlMs: LEASE_TTL_MS })).toBeUndefined()
    clock.advance(1)
    expect((await claim(store)).run.id).toBe(runId)
  })

  test("the end of a step that waited names the step's key", async () => {
    const { store } = test_
    const { proof, resolve } = await beginTwoApprovals()
    await resolve('first')
    await store.write.finishRun({
      ...proof,
      outcome: { status: 'canceled', reason: 'canceled_by_person', detail: 'no more' },
    })
    const items = await store.read.listEvents({ afterSeq: 0, countMax: 1000 })
    const ends = items.filter(({ type }) => type === 'step.succeeded' || type === 'step.canceled')
    expect(ends.map(({ type, data }) => [type, data.key])).toEqual([
      ['step.succeeded', 'first'],
      ['step.canceled', 'second'],
    ])
  })

  test('U3: the late report of an agent whose lease expired is refused, not taken for a repetition', async () => {
    const { store, clock } = test_
    await createTestTicket(store, await createTestProject(store))
    const claimed = await store.write.claimTicket({ holder: 'agent-7', leaseTtlMs: LEASE_TTL_MS })
    if (claimed === undefined) throw new Error('nothing was claimable')
    clock.advance(LEASE_TTL_MS + 1)
    expect(await store.write.expireLeases({ runCountMax: 3, retryDelayMs: 0 })).toEqual([claimed.run.id])
    const late = store.write.finishRun({
      ...toProof(claimed),
      outcome: { status: 'failed', reason: 'agent_failed', detail: 'mine', ticket: { kind: 'fail' } },
    })
    await expect(late).rejects.toThrow(LeaseLostError)
    expect((await store.read.findRun(claimed.run.id))?.detail).not.toBe('mine')
  })

  test('P17: a request for changes is no failure: the runs of a ticket are counted from there on', async () => {
    const { store } = test_
    const { project, ticket, runId, proof } = await beginScene(store)
    const { id: pullRequestId } = await store.write.upsertPullRequest({
      projectId: project.id,
      ticketId: ticket.id,
      runId,
      forge: 'local',
      title: 'T',
      body: '',
      branch: 'swarm/t',
      baseBranch: 'main',
      headCommit: 'c'.repeat(40),
      baseCommit: 'b'.repeat(40),
      diff: '',
      isDiffTruncated: false,
      additionCount: 1,
      deletionCount: 0,
      changedFiles: ['a'],
      url: null,
    })
    const outcome = { status: 'succeeded', outputs: {}, ticket: 'review' } as const
    await store.write.finishRun({ ...proof, outcome })
    await store.write.reviewPullRequest({ pullRequestId, state: 'changes_requested', actor: 'ann' })
    const next = await claim(store)
    expect([next.ticket.id, next.ticket.runCount, next.run.number]).toEqual([ticket.id, 1, 2])
  })
})
