/** What goes wrong with agents that nobody here starts, each with its one answer. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { hashSecret } from '../../src/api/authenticate.ts'
import { PROGRESS_COUNT_MAX } from '../../src/api/runs/progress-limit.ts'
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

/** A new ticket in the hands of the agent. */
async function claimNew(client = agent, holder = HOLDER, leaseTtlMs = 60_000) {
  const { key } = await server.owner.tickets.create({ project: 'WEB', title: 'work' })
  const { run, lease, ticket } = await client.tickets.claim(key, { holder, leaseTtlMs })
  return { key, runId: run.id, ticketId: ticket.id, proof: { holder, epoch: lease.epoch } }
}

/** Everything that the agents could have changed about the ticket. */
async function look(key: string) {
  const [ticket, runs, events] = await Promise.all([
    server.owner.tickets.get(key),
    server.owner.runs.list({ ticket: key }),
    server.owner.events.list({ ticket: key }),
  ])
  return { ticket, runs, events }
}

/** Time passes and the reaper goes round. */
async function expire(ms: number): Promise<void> {
  server.clock.advance(ms)
  await server.store.write.expireLeases({ runCountMax: 5, retryDelayMs: 0 })
}

type Held = Awaited<ReturnType<typeof claimNew>>
const REPORTS = {
  heartbeat: ({ runId, proof }: Held) => agent.runs.heartbeat(runId, proof),
  progress: ({ runId, proof }: Held) => agent.runs.progress(runId, { ...proof, message: 'I live' }),
  complete: ({ runId, proof }: Held) => agent.runs.complete(runId, { ...proof, outputs: { late: true } }),
  fail: ({ runId, proof }: Held) => agent.runs.fail(runId, { ...proof, detail: 'late' }),
  release: ({ runId, proof }: Held) => agent.runs.release(runId, proof),
}

describe('answers that were lost', () => {
  test('P1: a report whose answer was lost gets it again under its key, and is recorded once', async () => {
    for (const verb of ['complete', 'fail', 'release'] as const) {
      const { key, runId, proof } = await claimNew()
      const send = (idempotencyKey: string) => {
        if (verb === 'complete') return agent.runs.complete(runId, proof, { idempotencyKey })
        if (verb === 'fail') return agent.runs.fail(runId, { ...proof, detail: 'no' }, { idempotencyKey })
        return agent.runs.release(runId, proof, { idempotencyKey })
      }
      const first = await send('report-1')
      const before = await look(key)
      expect(await send('report-1'), verb).toEqual(first)
      expect(await look(key), verb).toEqual(before)
      // Even when the world has moved on: the answer is about what was recorded then.
      await server.owner.tickets.cancel(key)
      expect(await send('report-1'), verb).toEqual(first)
    }
  })

  test('P1: the same key with other outputs is refused, and another credential has keys of its own', async () => {
    const { key, runId, proof } = await claimNew()
    const options = { idempotencyKey: 'report-1' }
    await agent.runs.complete(runId, { ...proof, outputs: { n: 1 } }, options)
    const other = agent.runs.complete(runId, { ...proof, outputs: { n: 2 } }, options)
    await expectProblem(other, 422, 'idempotency_mismatch')
    const stranger = await server.connectAs('claim')
    const stolen = stranger.runs.complete(runId, { ...proof, outputs: { n: 1 } }, options)
    await expectProblem(stolen, 409, 'lease_lost')
    expect((await look(key)).ticket.outputs).toEqual({ n: 1 })
  })

  test('a claim whose answer was lost is given again under its key: no second ticket is taken', async () => {
    await server.owner.tickets.create({ project: 'WEB', title: 'one' })
    await server.owner.tickets.create({ project: 'WEB', title: 'two' })
    const ask = () => agent.tickets.claimNext({ holder: HOLDER }, { idempotencyKey: 'claim-1' })
    const [first, again] = await Promise.all([ask(), ask()])
    expect(again).toEqual(first)
    expect((await server.owner.runs.list()).items).toHaveLength(1)
  })
})

describe('agents that come too late', () => {
  test('U3: after its lease has passed and another agent has the ticket, no report changes anything', async () => {
    const old = await claimNew(agent, HOLDER, 5_000)
    await expire(6_000)
    await agent.tickets.claim(old.key, { holder: 'builder-8' })
    const before = await look(old.key)
    for (const [verb, send] of Object.entries(REPORTS)) {
      const problem = await expectProblem(send(old), 409, 'lease_lost')
      expect(problem.detail, verb).toContain('the run is failed (lease_expired)')
    }
    expect(await look(old.key)).toEqual(before)
  })

  test('U3: the lease passes when the reaper takes it: until then a late sign of life keeps it', async () => {
    const late = await claimNew(agent, HOLDER, 5_000)
    server.clock.advance(6_000)
    await agent.runs.heartbeat(late.runId, { ...late.proof, leaseTtlMs: 5_000 })
    await expire(1_000)
    const done = await agent.runs.complete(late.runId, late.proof)
    expect(done.ticket.status).toBe('done')
  })

  test('a ticket that is canceled meanwhile stays canceled, and the agent hears why', async () => {
    const held = await claimNew()
    await server.owner.tickets.cancel(held.key)
    const before = await look(held.key)
    expect(before.runs.items[0]).toMatchObject({ status: 'canceled', lease: { holder: null } })
    for (const [verb, send] of Object.entries(REPORTS)) {
      const problem = await expectProblem(send(held), 409, 'lease_lost')
      expect(problem.detail, verb).toContain('the run is canceled (canceled_by_person)')
      expect(problem.hint, verb).toContain('stop the work')
    }
    expect(await look(held.key)).toEqual(before)
  })

  test('U5: the ticket of an agent that fell silent is offered again when the reaper goes round', async () => {
    const dead = await claimNew(agent, HOLDER, 5_000)
    await expire(4_999)
    expect(await agent.tickets.claimNext({ holder: 'other' })).toBeUndefined()
    await expire(1)
    const next = await agent.tickets.claimNext({ holder: 'other' })
    expect(next).toMatchObject({ ticket: { key: dead.key }, run: { number: 2 } })
    expect(await server.owner.runs.get(dead.runId)).toMatchObject({
      status: 'failed',
      reason: 'lease_expired',
      lease: { holder: null, expiresAt: null },
    })
  })
})

describe('one name, one token, several processes', () => {
  test('U2: two agents of the same name have a run each, and neither drives or keeps the other’s', async () => {
    const [one, two] = [await claimNew(agent, HOLDER, 5_000), await claimNew(agent, HOLDER, 5_000)]
    server.clock.advance(4_000)
    await agent.runs.heartbeat(one.runId, { ...one.proof, leaseTtlMs: 5_000 })
    await expire(2_000)
    expect((await look(one.key)).ticket.status).toBe('running')
    expect((await look(two.key)).ticket.status).toBe('pending')
    await expectProblem(REPORTS.complete(two), 409, 'lease_lost')
    expect((await REPORTS.complete(one)).ticket.key).toBe(one.key)
  })

  test('two processes that both believe to hold the run: the first report counts, whatever the second says', async () => {
    const held = await claimNew()
    const answers = await Promise.allSettled([
      agent.runs.complete(held.runId, { ...held.proof, outputs: { by: 1 } }),
      agent.runs.fail(held.runId, { ...held.proof, detail: 'not me' }),
      agent.runs.release(held.runId, held.proof),
    ])
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    const ends = await server.owner.events.list({
      run: held.runId,
      type: ['run.succeeded', 'run.failed', 'run.canceled'],
    })
    expect(ends.items).toHaveLength(1)
  })

  test('the token of a run claims nothing, the token of an agent reads nothing, a revoked one ends nothing', async () => {
    const held = await claimNew()
    const secret = `swm_${'r'.repeat(40)}`
    await server.store.write.createToken({
      name: 'run',
      scopes: ['run'],
      secretHash: hashSecret(secret),
      runId: held.runId,
      expiresAt: null,
      actor: 'test',
    })
    const inside = server.connect(secret)
    await expectProblem(inside.tickets.claimNext({ holder: HOLDER }), 403, 'missing_scope')
    await expectProblem(inside.runs.complete(held.runId, held.proof), 403, 'missing_scope')
    expect((await inside.runs.get(held.runId)).status).toBe('running')
    await expectProblem(agent.runs.get(held.runId), 403, 'missing_scope')
    await expectProblem(agent.events.list(), 403, 'missing_scope')

    const [token] = (await server.owner.tokens.list()).items.filter(({ name }) => name === 'claim')
    await server.owner.tokens.revoke(token?.id ?? '')
    await expectProblem(REPORTS.complete(held), 401, 'token_revoked')
    expect((await look(held.key)).ticket.status).toBe('running')
    await expire(61_000)
    expect((await look(held.key)).ticket.status).toBe('pending')
  })
})

describe('U4: what its status does not allow is refused through the API too', () => {
  const ENDS = {
    done: (held: Held) => agent.runs.complete(held.runId, held.proof),
    failed: (held: Held) => agent.runs.fail(held.runId, { ...held.proof, detail: 'no', isFinal: true }),
    canceled: (held: Held) => server.owner.tickets.cancel(held.key),
  }
  test.each(Object.entries(ENDS))(
    'a ticket that is %s is neither claimed nor ended again',
    async (status, end) => {
      const held = await claimNew()
      await end(held)
      const before = await look(held.key)
      const problem = await expectProblem(
        agent.tickets.claim(held.key, { holder: 'other' }),
        409,
        'not_claimable',
      )
      expect(problem.detail).toContain(`it is ${status}`)
      expect(await agent.tickets.claimNext({ holder: 'other' })).toBeUndefined()
      await expectProblem(REPORTS.heartbeat(held), 409, 'lease_lost')
      await expectProblem(REPORTS.release(held), 409, 'lease_lost')
      if (status !== 'done') await expectProblem(REPORTS.complete(held), 409, 'lease_lost')
      if (status !== 'failed') await expectProblem(REPORTS.fail(held), 409, 'lease_lost')
      expect(await look(held.key)).toEqual(before)
    },
  )

  test('a running ticket is not retried, a blocked one not claimed, and no status is written directly', async () => {
    const held = await claimNew()
    await expectProblem(server.owner.tickets.retry(held.key), 409, 'conflict')
    const blocked = await server.owner.tickets.create({
      project: 'WEB',
      title: 'later',
      dependsOn: [held.key],
    })
    await expectProblem(agent.tickets.claim(blocked.key, { holder: HOLDER }), 409, 'not_claimable')
    const { version } = await server.owner.tickets.get(held.key)
    const direct = server.owner.tickets.update(held.key, version, { status: 'done' } as never)
    await expectProblem(direct, 422, 'invalid_request')
    expect((await look(held.key)).ticket.status).toBe('running')
  })
})

describe('results that are none', () => {
  test('U12: what a failed run left is not the next one’s result', async () => {
    const first = await claimNew()
    await agent.runs.fail(first.runId, { ...first.proof, detail: 'no', outputs: { commit: 'stale' } })
    expect((await look(first.key)).ticket.outputs).toBeNull()
    server.clock.advance(10_000)
    const next = await agent.tickets.claim(first.key, { holder: HOLDER })
    const done = await agent.runs.complete(next.run.id, { holder: HOLDER, epoch: next.lease.epoch })
    expect(done.ticket).toMatchObject({ status: 'done', outputs: {} })
    expect((await server.owner.runs.get(first.runId)).outputs).toEqual({ commit: 'stale' })
  })

  test('outputs that are too large, no object, or no JSON change nothing; the agent may still say that it failed', async () => {
    const held = await claimNew()
    const complete = (outputs: unknown) =>
      agent.runs.complete(held.runId, { ...held.proof, outputs: outputs as never })
    const before = await look(held.key)
    const problem = await expectProblem(complete({ text: 'x'.repeat(1024 * 1024) }), 422, 'invalid_request')
    expect(problem.errors[0]).toMatchObject({ pointer: '/outputs' })
    await expectProblem(complete({ text: 'x'.repeat(9 * 1024 * 1024) }), 413, 'body_too_large')
    await expectProblem(complete({ text: 'a\0b' }), 422, 'invalid_request')
    await expectProblem(complete([1]), 422, 'invalid_request')
    await expectProblem(complete(nest(100)), 400, 'json_too_deep')
    const reason = agent.runs.fail(held.runId, { ...held.proof, detail: 'x', reason: 'tired' as never })
    expect((await expectProblem(reason, 422, 'invalid_request')).detail).toContain('agent_failed')
    expect(await look(held.key)).toEqual(before)
    const failed = await agent.runs.fail(held.runId, {
      ...held.proof,
      reason: 'result_invalid',
      detail: 'large',
    })
    expect(failed.run.reason).toBe('result_invalid')
  })

  test('a flood of progress is refused with the time to wait, for this run only, and counts no stranger’s calls', async () => {
    const [held, other] = [await claimNew(), await claimNew()]
    const stranger = await server.connectAs('claim')
    for (let at = 0; at < PROGRESS_COUNT_MAX; at += 1) {
      await expectProblem(
        stranger.runs.progress(held.runId, { ...held.proof, message: 'me' }),
        409,
        'lease_lost',
      )
    }
    for (let at = 0; at < PROGRESS_COUNT_MAX; at += 1) await REPORTS.progress(held)
    const problem = await expectProblem(REPORTS.progress(held), 429, 'too_much_progress')
    expect(problem.retryAfterMs).toBe(60_000)
    await REPORTS.progress(other)
    await REPORTS.heartbeat(held)
    const events = await server.owner.events.list({ run: held.runId, type: ['run.progressed'], limit: 1000 })
    expect(events.items).toHaveLength(PROGRESS_COUNT_MAX)
    server.clock.advance(60_000)
    await REPORTS.progress(held)
    const large = { ...held.proof, message: 'log', data: { log: 'x'.repeat(70_000) } }
    await expectProblem(agent.runs.progress(held.runId, large), 422, 'invalid_request')
  })
})

function nest(depth: number): object {
  return depth === 0 ? {} : { deeper: nest(depth - 1) }
}
