import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { SwarmClient } from '../../src/client/client.ts'
import { type ApiServer, startApiServer } from '../support/api-server.ts'
import { expectProblem } from '../support/expect-problem.ts'

let server: ApiServer
let agent: SwarmClient
beforeEach(async () => {
  server = await startApiServer()
  await server.owner.projects.create({ key: 'WEB', name: 'Web' })
  agent = await server.connectAs('claim')
})
afterEach(async () => await server[Symbol.asyncDispose]())

const HOLDER = 'builder-7'
const file = async (title = 'work') => await server.owner.tickets.create({ project: 'WEB', title })

describe('the loop of an outside agent', () => {
  test('claims, beats, tells its progress and completes; the ticket is done with its outputs', async () => {
    await file()
    await server.owner.tickets.create({ project: 'WEB', title: 'next', dependsOn: ['WEB-1'] })
    const claim = await agent.tickets.claimNext({ holder: HOLDER, leaseTtlMs: 30_000 })
    if (claim === undefined) throw new Error('nothing was claimed')
    expect(claim.ticket).toMatchObject({ key: 'WEB-1', status: 'running' })
    expect(claim.run).toMatchObject({ status: 'running', workflow: 'external' })
    expect(claim.lease).toMatchObject({ holder: HOLDER, epoch: 1, isCancelRequested: false })
    const { id: runId } = claim.run
    const proof = { holder: HOLDER, epoch: claim.lease.epoch }

    server.clock.advance(20_000)
    const renewed = await agent.runs.heartbeat(runId, { ...proof, leaseTtlMs: 30_000 })
    expect(Date.parse(renewed.expiresAt ?? '')).toBe(server.clock.now() + 30_000)

    await agent.runs.progress(runId, { ...proof, message: 'half way', percent: 50, data: { files: 3 } })
    const events = await server.owner.events.list({ run: runId, type: ['run.progressed'] })
    expect(events.items.map(({ data }) => data)).toEqual([
      { message: 'half way', percent: 50, data: { files: 3 } },
    ])

    const done = await agent.runs.complete(runId, { ...proof, outputs: { answer: 42 } })
    expect(done.run.status).toBe('succeeded')
    expect(done.ticket).toMatchObject({ status: 'done', outputs: { answer: 42 } })
    expect((await server.owner.tickets.get('WEB-2')).status).toBe('pending')
  })

  test('nothing to do is 204, and the next ticket is seen under the same idempotency key', async () => {
    const body = { holder: HOLDER }
    expect(await agent.tickets.claimNext(body, { idempotencyKey: 'k' })).toBeUndefined()
    await file()
    const claim = await agent.tickets.claimNext(body, { idempotencyKey: 'k' })
    expect(claim?.ticket.key).toBe('WEB-1')
    const again = await agent.tickets.claimNext(body, { idempotencyKey: 'k' })
    expect(again).toEqual(claim)
  })

  test('only what fits the filters is claimed', async () => {
    await server.owner.tickets.create({ project: 'WEB', title: 'a', type: 'bug', labels: ['go'] })
    await server.owner.projects.create({ key: 'API', name: 'Api' })
    expect(await agent.tickets.claimNext({ holder: HOLDER, project: 'API' })).toBeUndefined()
    expect(await agent.tickets.claimNext({ holder: HOLDER, types: ['feature'] })).toBeUndefined()
    expect(await agent.tickets.claimNext({ holder: HOLDER, labels: ['go', 'rust'] })).toBeUndefined()
    const claim = await agent.tickets.claimNext({
      holder: HOLDER,
      types: ['bug'],
      labels: ['go'],
      project: 'WEB',
    })
    expect(claim?.ticket.key).toBe('WEB-1')
  })

  test('U2: a ticket has one holder, under any number of claimers', async () => {
    await file()
    const claimers = await Promise.all(
      Array.from({ length: 10 }, async (_, i) => await agent.tickets.claimNext({ holder: `agent-${i}` })),
    )
    expect(claimers.filter((claim) => claim !== undefined)).toHaveLength(1)

    await file()
    const named = await Promise.allSettled(
      Array.from({ length: 10 }, (_, i) => agent.tickets.claim('WEB-2', { holder: `agent-${i}` })),
    )
    expect(named.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    await expectProblem(agent.tickets.claim('WEB-2', { holder: 'late' }), 409, 'not_claimable')
    await expectProblem(agent.tickets.claim('WEB-9', { holder: 'late' }), 404, 'not_found')
  })

  test('U3: a stale lease epoch changes nothing', async () => {
    await file()
    const old = await agent.tickets.claim('WEB-1', { holder: HOLDER, leaseTtlMs: 5_000 })
    server.clock.advance(6_000)
    await server.store.write.expireLeases({ runCountMax: 5, retryDelayMs: 0 })
    const fresh = await agent.tickets.claim('WEB-1', { holder: 'builder-8' })
    const before = await snapshot()

    const stale = { holder: HOLDER, epoch: old.lease.epoch }
    const { id: oldRunId } = old.run
    const { id: freshRunId } = fresh.run
    for (const runId of [oldRunId, freshRunId]) {
      await expectProblem(agent.runs.heartbeat(runId, stale), 409, 'lease_lost')
      await expectProblem(agent.runs.progress(runId, { ...stale, message: 'I live' }), 409, 'lease_lost')
      await expectProblem(agent.runs.complete(runId, { ...stale, outputs: { old: true } }), 409, 'lease_lost')
      await expectProblem(agent.runs.fail(runId, { ...stale, detail: 'no' }), 409, 'lease_lost')
      await expectProblem(agent.runs.release(runId, stale), 409, 'lease_lost')
    }
    const wrongEpoch = { holder: 'builder-8', epoch: fresh.lease.epoch + 1 }
    await expectProblem(agent.runs.complete(freshRunId, wrongEpoch), 409, 'lease_lost')
    expect(await snapshot()).toEqual(before)

    const { lease } = fresh
    const done = await agent.runs.complete(freshRunId, {
      holder: lease.holder,
      epoch: lease.epoch,
      outputs: { new: true },
    })
    expect(done.ticket).toMatchObject({ status: 'done', outputs: { new: true } })
  })

  test('another token cannot drive the run, not even with holder and epoch', async () => {
    await file()
    const claim = await agent.tickets.claim('WEB-1', { holder: HOLDER })
    const thief = await server.connectAs('claim')
    const proof = { holder: HOLDER, epoch: claim.lease.epoch }
    await expectProblem(thief.runs.complete(claim.run.id, proof), 409, 'lease_lost')
    expect((await server.owner.tickets.get('WEB-1')).status).toBe('running')
  })

  test('no outside agent drives what a coordinator holds', async () => {
    await file()
    const claim = await server.store.write.claimNext({ holder: 'host-1', leaseTtlMs: 60_000 })
    if (claim === undefined) throw new Error('nothing was claimed')
    const proof = { holder: 'host-1', epoch: claim.run.lease.epoch }
    await expectProblem(agent.runs.complete(claim.run.id, proof), 409, 'lease_lost')
    await expectProblem(server.owner.runs.complete(claim.run.id, proof), 409, 'lease_lost')
  })

  test('a failure is tried again after its backoff, until the count of runs is used up', async () => {
    await file()
    const first = await agent.tickets.claim('WEB-1', { holder: HOLDER })
    const failed = await agent.runs.fail(first.run.id, {
      holder: HOLDER,
      epoch: first.lease.epoch,
      reason: 'agent_crashed',
      detail: 'it fell over',
    })
    expect(failed.run).toMatchObject({ status: 'failed', reason: 'agent_crashed', detail: 'it fell over' })
    expect(failed.ticket.status).toBe('pending')
    expect(Date.parse(failed.ticket.notBefore ?? '')).toBeGreaterThanOrEqual(server.clock.now() + 1_000)
    expect(await agent.tickets.claimNext({ holder: HOLDER })).toBeUndefined()

    server.clock.advance(2_000)
    const second = await agent.tickets.claim('WEB-1', { holder: HOLDER })
    const dead = await agent.runs.fail(second.run.id, {
      holder: HOLDER,
      epoch: second.lease.epoch,
      detail: 'again',
    })
    expect(dead.ticket).toMatchObject({ status: 'failed' })
    expect(dead.ticket.deadAt).not.toBeNull()
    expect((await server.owner.tickets.list({ dead: true })).items.map(({ key }) => key)).toEqual(['WEB-1'])
  })

  test('a failure that is final, or whose reason is never retried, fails the ticket at once', async () => {
    await file()
    await file()
    const first = await agent.tickets.claim('WEB-1', { holder: HOLDER })
    const proof = { holder: HOLDER, epoch: first.lease.epoch }
    const final = await agent.runs.fail(first.run.id, { ...proof, detail: 'never', isFinal: true })
    expect(final.ticket).toMatchObject({ status: 'failed', deadAt: null })
    const second = await agent.tickets.claim('WEB-2', { holder: HOLDER })
    const input = {
      holder: HOLDER,
      epoch: second.lease.epoch,
      reason: 'input_invalid',
      detail: 'no',
    } as const
    expect((await agent.runs.fail(second.run.id, input)).ticket.status).toBe('failed')
    await expect(() =>
      agent.runs.fail(second.run.id, { ...input, reason: 'whatever' as never }),
    ).rejects.toMatchObject({
      status: 422,
    })
  })

  test('a released ticket is pending again and can be claimed by another', async () => {
    await file()
    const claim = await agent.tickets.claim('WEB-1', { holder: HOLDER })
    const proof = { holder: HOLDER, epoch: claim.lease.epoch }
    const released = await agent.runs.release(claim.run.id, { ...proof, detail: 'not mine' })
    expect(released).toEqual({ runId: claim.run.id, ticketId: claim.ticket.id })
    expect((await server.owner.tickets.get('WEB-1')).status).toBe('pending')
    expect((await agent.tickets.claimNext({ holder: 'other' }))?.ticket.key).toBe('WEB-1')
  })

  test('a report may be repeated when its answer was lost, with a key or without; another one is too late', async () => {
    await file()
    const claim = await agent.tickets.claim('WEB-1', { holder: HOLDER })
    const body = { holder: HOLDER, epoch: claim.lease.epoch, outputs: { n: 1 } }
    const first = await agent.runs.complete(claim.run.id, body, { idempotencyKey: 'done-1' })
    const again = await agent.runs.complete(claim.run.id, body, { idempotencyKey: 'done-1' })
    expect(again).toEqual(first)
    expect(await agent.runs.complete(claim.run.id, body)).toEqual(first)
    const contrary = { holder: HOLDER, epoch: claim.lease.epoch, detail: 'no' }
    await expectProblem(agent.runs.fail(claim.run.id, contrary), 409, 'lease_lost')
    const ended = await server.owner.events.list({ run: claim.run.id, type: ['run.succeeded', 'run.failed'] })
    expect(ended.items.map(({ type }) => type)).toEqual(['run.succeeded'])
  })

  test('holder and epoch are required', async () => {
    await file()
    const claim = await agent.tickets.claim('WEB-1', { holder: HOLDER })
    await expectProblem(agent.runs.complete(claim.run.id, {} as never), 422, 'invalid_request')
    await expectProblem(agent.tickets.claimNext({} as never), 422, 'invalid_request')
    await expectProblem(agent.tickets.claimNext({ holder: 'a b' }), 422, 'invalid_request')
    await expectProblem(agent.runs.complete('run_nope', { holder: HOLDER, epoch: 1 }), 400, 'invalid_request')
    const missing = 'run_00000000000000000000000000'
    await expectProblem(agent.runs.complete(missing, { holder: HOLDER, epoch: 1 }), 404, 'not_found')
  })
})

/** Everything that a stale write could have changed. */
async function snapshot() {
  const ticket = await server.owner.tickets.get('WEB-1')
  const runs = await server.owner.runs.list({ ticket: 'WEB-1' })
  const events = await server.owner.events.list({ ticket: 'WEB-1' })
  return { ticket, runs, events }
}
