import { request } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { hashSecret } from '../../src/api/authenticate.ts'
import { createClient } from '../../src/client/client.ts'
import type { RunId } from '../../src/domain/id.ts'
import { createUnixFetch } from '../../src/platform/fetch-unix.ts'
import { type ApiServer, startApiServer } from '../support/api-server.ts'
import { expectProblem } from '../support/expect-problem.ts'

let server: ApiServer
beforeEach(async () => {
  server = await startApiServer()
  await server.owner.projects.create({ key: 'WEB', name: 'Web' })
})
afterEach(async () => await server[Symbol.asyncDispose]())

describe('who may come in', () => {
  test('on loopback nobody comes in without a token; the unix socket is its owner’s', async () => {
    const anonymous = createClient({ baseUrl: server.url, fetch })
    await expectProblem(anonymous.tickets.list(), 401, 'token_missing')
    await expectProblem(anonymous.health.get(), 401, 'token_missing')
    expect((await fetch(`${server.url}/openapi.json`)).status).toBe(401)
    expect((await server.owner.tickets.list()).items).toEqual([])
  })

  test('a token that is wrong, malformed, revoked or expired opens nothing, and says which', async () => {
    const wrong = `swm_${'x'.repeat(43)}`
    await expectProblem(server.connect(wrong).tickets.list(), 401, 'token_invalid')
    await expectProblem(server.connect('hunter2').tickets.list(), 401, 'token_invalid')

    const revoked = await server.owner.tokens.create({ name: 'a', scopes: ['read'] })
    const client = server.connect(revoked.secret)
    await client.tickets.list()
    await server.owner.tokens.revoke(revoked.id)
    await expectProblem(client.tickets.list(), 401, 'token_revoked')

    const expiresAt = new Date(server.clock.now() + 60_000).toISOString()
    const shortLived = await server.owner.tokens.create({ name: 'b', scopes: ['read'], expiresAt })
    await server.connect(shortLived.secret).tickets.list()
    server.clock.advance(60_000)
    await expectProblem(server.connect(shortLived.secret).tickets.list(), 401, 'token_expired')
  })

  test('a wrong token is refused on the unix socket too', async () => {
    const client = createClient({
      baseUrl: 'http://localhost',
      token: `swm_${'x'.repeat(43)}`,
      fetch: createUnixFetch(server.socketPath),
    })
    await expectProblem(client.tickets.list(), 401, 'token_invalid')
  })

  test('a token counts in the header only, never in the address', async () => {
    const { secret } = await server.owner.tokens.create({ name: 'a', scopes: ['admin'] })
    for (const query of [`token=${secret}`, `access_token=${secret}`]) {
      expect((await fetch(`${server.url}/v1/tickets?${query}`)).status).toBe(401)
    }
    const basic = Buffer.from(`swarm:${secret}`).toString('base64')
    const response = await fetch(`${server.url}/v1/tickets`, { headers: { authorization: `Basic ${basic}` } })
    expect(response.status).toBe(401)
  })

  test('each operation asks for its scope', async () => {
    const reader = await server.connectAs('read')
    await reader.tickets.list()
    await expectProblem(reader.tickets.create({ project: 'WEB', title: 'x' }), 403, 'missing_scope')
    await expectProblem(reader.tickets.claimNext({ holder: 'a' }), 403, 'missing_scope')
    await expectProblem(reader.tokens.list(), 403, 'missing_scope')
    await expectProblem(reader.projects.create({ key: 'X1', name: 'x' }), 403, 'missing_scope')
    await expectProblem(reader.runs.approve(NO_RUN), 403, 'missing_scope')
    const writer = await server.connectAs('tickets')
    await writer.tickets.create({ project: 'WEB', title: 'x' })
    await expectProblem(writer.tickets.list(), 403, 'missing_scope')
    const admin = await server.connectAs('admin')
    await admin.tickets.list()
    await admin.tokens.list()
  })

  test('who may not do it is told so before anything is said about what exists', async () => {
    const reader = await server.connectAs('read')
    await expectProblem(reader.tickets.cancel('WEB-404'), 403, 'missing_scope')
    await expectProblem(reader.tickets.create({} as never), 403, 'missing_scope')
  })
})

describe('tokens', () => {
  test('U15: a token’s secret is shown once and kept nowhere', async () => {
    const { secret, ...token } = await server.owner.tokens.create({ name: 'ci', scopes: ['read', 'tickets'] })
    expect(secret).toMatch(/^swm_[A-Za-z0-9_-]{43}$/)
    const listed = await server.owner.tokens.list()
    expect(listed.items).toEqual([token])
    expect(JSON.stringify(listed)).not.toContain(secret)
    expect(JSON.stringify(await server.owner.events.list())).not.toContain(secret)
    expect(server.troubles.join()).not.toContain(secret)
    expect((await server.store.read.findTokenByHash(hashSecret(secret)))?.id).toBe(token.id)
  })

  test('a token may not be born expired, without a scope or with the scope of a run', async () => {
    const past = new Date(server.clock.now() - 1).toISOString()
    await expectProblem(
      server.owner.tokens.create({ name: 'x', scopes: ['read'], expiresAt: past }),
      422,
      'invalid_request',
    )
    await expectProblem(server.owner.tokens.create({ name: 'x', scopes: [] }), 422, 'invalid_request')
    await expectProblem(
      server.owner.tokens.create({ name: 'x', scopes: ['run' as never] }),
      422,
      'invalid_request',
    )
    await expectProblem(server.owner.tokens.revoke('tok_00000000000000000000000000'), 404, 'not_found')
  })

  test('a token remembers when it was used, without a write for each request', async () => {
    const { secret, id } = await server.owner.tokens.create({ name: 'x', scopes: ['admin'] })
    const client = server.connect(secret)
    await client.tickets.list()
    const usedAt = async () => (await client.tokens.list()).items.find((token) => token.id === id)?.lastUsedAt
    await expect.poll(usedAt).toBe(new Date(server.clock.now()).toISOString())
    const first = server.clock.now()
    server.clock.advance(10_000)
    await client.tickets.list()
    expect(await usedAt()).toBe(new Date(first).toISOString())
  })

  test('the token of a run opens this run’s doors and no other', async () => {
    await server.owner.tickets.create({ project: 'WEB', title: 'mine' })
    await server.owner.tickets.create({ project: 'WEB', title: 'other' })
    const mine = await claim()
    const other = await claim()
    const inside = server.connect(await giveRunToken(mine))
    expect((await inside.runs.get(mine)).id).toBe(mine)
    expect((await inside.runs.listLogs(mine)).items).toEqual([])
    expect((await inside.runs.listArtifacts(mine)).items).toEqual([])

    await expectProblem(inside.runs.get(other), 403, 'foreign_run')
    await expectProblem(inside.runs.listLogs(other), 403, 'foreign_run')
    await expectProblem(inside.runs.approve(mine), 403, 'missing_scope')
    await expectProblem(inside.runs.complete(mine, { holder: 'h', epoch: 1 }), 403, 'missing_scope')
    await expectProblem(inside.tickets.list(), 403, 'missing_scope')
    await expectProblem(inside.tickets.get('WEB-1'), 403, 'missing_scope')
    await expectProblem(inside.events.list(), 403, 'missing_scope')
    await expectProblem(inside.tokens.list(), 403, 'missing_scope')
  })

  test('the token of a run dies with the run', async () => {
    await server.owner.tickets.create({ project: 'WEB', title: 'mine' })
    const claimed = await server.store.write.claimNext({ holder: 'host-1', leaseTtlMs: 60_000 })
    if (claimed === undefined) throw new Error('nothing was claimed')
    const { run } = claimed
    const inside = server.connect(await giveRunToken(run.id))
    await inside.runs.get(run.id)
    await server.store.write.finishRun({
      runId: run.id,
      holder: 'host-1',
      epoch: run.lease.epoch,
      outcome: { status: 'succeeded', outputs: {}, ticket: 'done' },
    })
    await expectProblem(inside.runs.get(run.id), 401, 'token_revoked')
  })
})

describe('what a web page could make a browser send', () => {
  test('a rebound host name is refused; loopback and allowed names are answered', async () => {
    const { secret } = await server.owner.tokens.create({ name: 'x', scopes: ['read'] })
    const status = async (headers: Record<string, string>) =>
      await rawStatus('/v1/tickets', { authorization: `Bearer ${secret}`, ...headers })
    expect(await status({ host: 'evil.example.net' })).toBe(421)
    expect(await status({ host: '127.0.0.1.evil.example.net' })).toBe(421)
    expect(await status({ host: 'localhost:7377' })).toBe(200)
    expect(await status({ host: '[::1]:7377' })).toBe(200)
    expect(await status({ host: 'Swarm.Example.org' })).toBe(200)
  })

  test('a page of another origin is refused and no answer allows one', async () => {
    const { secret } = await server.owner.tokens.create({ name: 'x', scopes: ['read'] })
    const call = (origin: string, method = 'GET') =>
      fetch(`${server.url}/v1/tickets`, { method, headers: { authorization: `Bearer ${secret}`, origin } })
    for (const origin of [
      'https://evil.example.net',
      'null',
      'file://',
      'http://127.0.0.1.evil.example.net',
    ]) {
      expect([origin, (await call(origin)).status]).toEqual([origin, 403])
    }
    const preflight = await call('https://evil.example.net', 'OPTIONS')
    expect(preflight.headers.get('access-control-allow-origin')).toBeNull()
    const own = await call(server.url)
    expect(own.status).toBe(200)
    expect(own.headers.get('access-control-allow-origin')).toBeNull()
  })

  test('every answer carries the headers that keep browsers out', async () => {
    for (const path of ['/healthz', '/v1/tickets', '/nope']) {
      const { headers } = await fetch(`${server.url}${path}`)
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('content-security-policy')).toContain("default-src 'none'")
      expect(headers.get('cache-control')).toBe('no-store')
      expect(headers.get('x-request-id')).toMatch(/^[0-9a-f]{16}$/)
    }
  })
})

test('after twenty failures an address waits; a token that was good before still works', async () => {
  const good = await server.connectAs('read')
  await good.tickets.list()
  for (let i = 0; i < 20; i++) {
    await expectProblem(server.connect(`swm_${'x'.repeat(40)}${i}`).tickets.list(), 401, 'token_invalid')
  }
  const problem = await expectProblem(
    server.connect(`swm_${'y'.repeat(43)}`).tickets.list(),
    429,
    'too_many_failures',
  )
  expect(problem.hint).toMatch(/try again in \d+ s/)
  await good.tickets.list()
  server.clock.advance(60_000)
  await expectProblem(server.connect(`swm_${'y'.repeat(43)}`).tickets.list(), 401, 'token_invalid')
})

const NO_RUN = 'run_00000000000000000000000000'

async function claim(): Promise<RunId> {
  const claimed = await server.store.write.claimNext({ holder: 'host-1', leaseTtlMs: 60_000 })
  if (claimed === undefined) throw new Error('nothing was claimed')
  return claimed.run.id
}

async function giveRunToken(runId: RunId): Promise<string> {
  const secret = `swm_${runId.slice(4)}${'r'.repeat(20)}`
  await server.store.write.createToken({
    name: `run ${runId}`,
    scopes: ['run'],
    expiresAt: null,
    runId,
    secretHash: hashSecret(secret),
    actor: 'coordinator',
  })
  return secret
}

/** `fetch` does not let anyone choose the header `Host`. */
function rawStatus(path: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request(`${server.url}${path}`, { headers }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    sent.once('error', reject)
    sent.end()
  })
}
