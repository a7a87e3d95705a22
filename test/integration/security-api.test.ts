/** What a stranger, a token with few rights, or a hostile body tries on the API. */
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ApiServer, startApiServer } from '../support/api-server.ts'

let server: ApiServer
beforeEach(async () => {
  server = await startApiServer()
  await server.owner.projects.create({ key: 'WEB', name: 'Web' })
})
afterEach(async () => await server[Symbol.asyncDispose]())

/** Everything that comes back for these bytes on TCP. */
function sendBytes(bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(server.url).port) })
    let text = ''
    socket.setTimeout(3_000, () => socket.destroy())
    socket.on('data', (data) => (text += data.toString('latin1')))
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
    socket.write(bytes, 'latin1')
  })
}

describe('odd requests', () => {
  test.each([
    'GET // HTTP/1.1',
    'GET http:// HTTP/1.1',
    'GET http://[::1/v1/tickets HTTP/1.1',
    'GET /v1/tickets/%00 HTTP/1.1',
    'GET /v1/tickets/%ff%fe HTTP/1.1',
    'GET /v1/%2e%2e/%2e%2e/v1/tickets HTTP/1.1',
    'GET /healthz/../v1/tickets HTTP/1.1',
    'GET /v1/tickets;x=1 HTTP/1.1',
    'GET //v1/tickets HTTP/1.1',
    'GET http://localhost/v1/tickets HTTP/1.1',
    'GET http://evil.example.org/v1/tickets HTTP/1.1',
    'OPTIONS * HTTP/1.1',
    'TRACE /v1/tickets HTTP/1.1',
    'CONNECT 127.0.0.1:80 HTTP/1.1',
    'HEAD /v1/tickets HTTP/1.1',
    'PROPFIND /v1/tickets HTTP/1.1',
  ])('%s is refused, and takes nobody down', async (line) => {
    const answer = await sendBytes(`${line}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`)
    expect(answer).not.toMatch(/^HTTP\/1\.1 (2|5)/)
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
    expect(server.troubles).toEqual([])
  })

  test('a name that is hidden in the address of the request is as foreign as one in its header', async () => {
    const answer = await sendBytes(
      'GET http://evil.example.org/healthz HTTP/1.1\r\nHost: evil.example.org\r\nConnection: close\r\n\r\n',
    )
    expect(answer).toMatch(/^HTTP\/1\.1 421 /)
    const without = await sendBytes('GET /healthz HTTP/1.0\r\n\r\n')
    expect(without).not.toMatch(/^HTTP\/1\.1 5/)
  })
})

describe('hostile bodies', () => {
  test('a key that is the prototype of everything changes nothing', async () => {
    const body = `{"project":"WEB","title":"x","inputs":{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}}`
    const response = await server.unixFetch('http://localhost/v1/tickets', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    expect([201, 422]).toContain(response.status)
    await response.body?.cancel()
    const { items } = await server.owner.tickets.list()
    for (const item of items) await server.owner.tickets.get(item.key)
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })
})

describe('repetition', () => {
  test('the answer kept for one token is not given to another that knows the key', async () => {
    const one = await server.connectAs('tickets', 'read')
    const { secret } = await server.owner.tokens.create({ name: 'other', scopes: ['tickets', 'read'] })
    await one.tickets.create({ project: 'WEB', title: 'secret plan' }, { idempotencyKey: 'same' })
    const other = await server
      .connect(secret)
      .tickets.create({ project: 'WEB', title: 'secret plan' }, { idempotencyKey: 'same' })
    expect(other.key).toBe('WEB-2')
  })
})
