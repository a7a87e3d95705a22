import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ForgeError } from '../../src/forge/contract.ts'
import { type ApiServer, IDLE_REPORT, startApiServer } from '../support/api-server.ts'
import { expectProblem } from '../support/expect-problem.ts'

let server: ApiServer
beforeEach(async () => {
  server = await startApiServer()
  await server.owner.projects.create({ key: 'WEB', name: 'Web' })
})
afterEach(async () => await server[Symbol.asyncDispose]())

const file = async () => await server.owner.tickets.create({ project: 'WEB', title: 'work' })
const failedChecks = async () =>
  (await server.owner.health.get()).checks.filter(({ ok }) => !ok).map(({ name }) => name)

describe('health', () => {
  test('U23: idle is healthy', async () => {
    server.clock.advance(30 * 24 * 3_600_000)
    const health = await server.owner.health.get()
    expect(health.status).toBe('ok')
    expect(health.figures.oldestPendingAgeMs).toBeNull()
  })

  test('U1: the age of the oldest pending ticket is a metric and a health signal', async () => {
    await file()
    server.clock.advance(61_000)
    const health = await server.owner.health.get()
    expect(health.figures.oldestPendingAgeMs).toBe(61_000)
    expect(health.status).toBe('degraded')
    expect(await failedChecks()).toEqual(['pending-tickets-are-claimed'])
    expect(await server.owner.health.metrics()).toContain('\nswarm_oldest_pending_ticket_age_seconds 61\n')

    await server.store.write.claimNext({ holder: 'host-1', leaseTtlMs: 600_000 })
    expect((await server.owner.health.get()).status).toBe('ok')
  })

  test('P15: waiting for a slot is not failing', async () => {
    await file()
    server.clock.advance(3_600_000)
    const { figures } = IDLE_REPORT
    const now = server.clock.now()
    server.control.report = { ...IDLE_REPORT, figures: { ...figures, heldRunCount: 2, lastRenewalAt: now } }
    expect(await failedChecks()).toEqual([])
  })

  test('P20: health is derived from outcomes: claims, renewals, completions', async () => {
    const { figures } = IDLE_REPORT
    const now = server.clock.now()
    server.control.report = {
      ...IDLE_REPORT,
      figures: { ...figures, heldRunCount: 1, lastClaimAt: now, lastRenewalAt: now, lastCompletionAt: now },
    }
    expect(await failedChecks()).toEqual([])
    // Nothing has crashed, every process is up; but nobody renews what is held.
    server.clock.advance(120_000)
    expect(await failedChecks()).toEqual(['held-leases-are-renewed'])
    expect((await server.owner.health.get()).status).toBe('degraded')
  })

  test('an outside effect that was given up is a signal', async () => {
    const { id: ticketId } = await file()
    const effect = await server.store.write.enqueueEffect({
      key: 'k',
      kind: 'http_request',
      payload: {},
      ticketId,
      actor: 'test',
    })
    await server.store.write.claimEffects({ countMax: 1 })
    await server.store.write.failEffect({ effectId: effect.id, reason: 'http_failed', detail: 'gone' })
    expect(await failedChecks()).toEqual(['outside-effects-get-through'])
  })

  test('what the coordinator itself finds is part of it', async () => {
    server.control.report = {
      ...IDLE_REPORT,
      isReady: false,
      checks: [{ name: 'sandbox', ok: false, detail: 'bwrap is missing' }],
    }
    const health = await server.owner.health.get()
    expect(health.status).toBe('failing')
    expect(health.checks).toContainEqual({ name: 'sandbox', ok: false, detail: 'bwrap is missing' })
  })
})

describe('probes', () => {
  test('live and ready need no token and say nothing more than yes or no', async () => {
    for (const path of ['/healthz', '/readyz']) {
      const response = await fetch(`${server.url}${path}`)
      expect([response.status, await response.json()]).toEqual([200, { status: 'ok' }])
    }
    server.control.report = {
      ...IDLE_REPORT,
      isLive: false,
      isReady: false,
      checks: [{ name: 'loops', ok: false, detail: 'a secret of the house' }],
    }
    for (const [path, code] of [
      ['/healthz', 'not_live'],
      ['/readyz', 'not_ready'],
    ]) {
      const response = await fetch(`${server.url}${path}`)
      const text = await response.text()
      expect(response.status).toBe(503)
      expect(text).toContain(code)
      expect(text).not.toContain('secret of the house')
    }
  })

  test('an error of ours is 500 without its cause; the log has it under the same id', async () => {
    server.control.explainRoute = async () => {
      throw new Error('password=hunter2 at /srv/private')
    }
    await file()
    const problem = await expectProblem(server.owner.tickets.explain('WEB-1'), 500, 'internal')
    expect(JSON.stringify(problem)).not.toContain('hunter2')
    expect(server.troubles).toHaveLength(1)
    expect(server.troubles[0]).toMatch(/a request failed .*"requestId":"[0-9a-f]{16}"/)
  })
})

test('a repository that cannot be read, or says nonsense, explains why its ticket goes nowhere', async () => {
  const detail = 'there is no repository at "/srv/absent.git": check the address of the project'
  server.control.explainRoute = async () => {
    throw new ForgeError('repository_missing', detail)
  }
  await file()
  expect(await server.owner.tickets.explain('WEB-1')).toEqual({
    rules: [],
    result: { kind: 'unroutable', detail },
  })
})

test('version and metrics are for readers', async () => {
  expect(await server.owner.version()).toEqual({ name: 'swarm', version: '0.0.0-test', api: 'v1' })
  await file()
  const metrics = await (await server.connectAs('read')).health.metrics()
  expect(metrics).toContain('# TYPE swarm_tickets gauge\n')
  expect(metrics).toContain('swarm_tickets{status="pending"} 1\n')
  await expectProblem((await server.connectAs('claim')).health.metrics(), 403, 'missing_scope')
})
