/** A hostile client of a door that writes its bytes itself, and hostile servers behind it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Door, GatewayEvent } from '../../src/gateway/contract.ts'
import { createGateway } from '../../src/gateway/create-gateway.ts'
import { hashRunToken } from '../../src/gateway/run-token.ts'
import { requestThroughProxy } from '../../src/platform/proxy-request.ts'
import { proxyAuthorization, sendThrough, startWebServer } from './gateway-client.ts'

const TOKEN = 'the-run-token'
const AUTH_LINE = `Proxy-Authorization: Bearer ${TOKEN}`

let directory: string
let door: Door | undefined
let events: GatewayEvent[]

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'swarm-sg-'))
  events = []
})
afterEach(async () => {
  await door?.close()
  await rm(directory, { recursive: true, force: true })
})

async function open(port: number, limits = {}): Promise<Door> {
  const gateway = createGateway({
    hosts: [{ host: '127.0.0.1', port, allowPrivate: true }],
    models: [],
    now: () => 1_000,
  })
  door = await gateway.openDoor({
    runId: 'run_1',
    ticketId: 'tkt_1',
    runTokenSha256: hashRunToken(TOKEN),
    expiresAt: 2_000,
    directory,
    policy: { hosts: '*', models: '*', limits: { idleTimeoutMs: 1_000, ...limits } },
    onEvent: (event) => events.push(event),
  })
  return door
}

/** Answers each request that a plain HTTP server would see in the bytes; keeps the bytes. */
async function startByteServer(answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok') {
  const received: Buffer[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', (data) => {
      received.push(data)
      // Late, so that everything that is going to come has come.
      setTimeout(() => socket.end(answer), 50)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    text: () => Buffer.concat(received).toString('latin1'),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

/** Everything that comes back for these bytes. */
function sendBytes(socketPath: string, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ path: socketPath })
    let text = ''
    socket.setTimeout(3_000, () => socket.destroy())
    socket.on('data', (data) => (text += data.toString('latin1')))
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
    socket.write(bytes, 'latin1')
  })
}

describe('a request cannot hide a second one', () => {
  const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: other.example.org\r\n\r\n'
  const hidden = (port: number, method: string, ...lines: string[]) =>
    [`${method} http://127.0.0.1:${port}/ HTTP/1.1`, 'Host: x', AUTH_LINE, ...lines, '', SMUGGLED].join(
      '\r\n',
    )

  test.each([
    ['GET', ['Connection: content-length, close', `Content-Length: ${SMUGGLED.length}`]],
    ['DELETE', ['Connection: content-length', 'Connection: close', `Content-Length: ${SMUGGLED.length}`]],
    ['POST', ['Connection: transfer-encoding, content-length, close', `Content-Length: ${SMUGGLED.length}`]],
    ['GET', ['Connection: close', `Content-Length: ${SMUGGLED.length}`]],
  ])('by naming the header that frames its body: %s %j', async (method, lines) => {
    await using server = await startByteServer()
    const { socketPath } = await open(server.port)
    await sendBytes(socketPath, hidden(server.port, method, ...lines))
    const [head = ''] = server.text().split('\r\n\r\n')
    // What follows the head belongs to this request for whoever reads it.
    if (server.text().includes('/smuggled')) {
      expect(head.toLowerCase()).toMatch(
        new RegExp(`content-length: ${SMUGGLED.length}(\r|$)|transfer-encoding: chunked(\r|$)`),
      )
    }
    expect(head.toLowerCase()).toContain(`host: 127.0.0.1:${server.port}`)
  })

  test.each([
    ['two framings', ['Content-Length: 5', 'Transfer-Encoding: chunked']],
    ['two lengths', ['Content-Length: 5', 'Content-Length: 6']],
    ['a folded header', ['X-A: b', ' Transfer-Encoding: chunked']],
    ['white space before the colon', ['Transfer-Encoding : chunked']],
    ['a coding that is none', ['Transfer-Encoding: xchunked']],
    ['a length that is none', ['Content-Length: +5']],
    ['a line that ends early', ['X-A: b\nTransfer-Encoding: chunked']],
    ['a bare carriage return', ['X-A: b\rTransfer-Encoding: chunked']],
    ['a zero byte', ['X-A: b\0c']],
  ])('by %s', async (_name, lines) => {
    await using server = await startByteServer()
    const { socketPath } = await open(server.port)
    const answer = await sendBytes(socketPath, hidden(server.port, 'POST', ...lines))
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(server.text()).not.toContain('/smuggled')
  })
})

describe('a server behind the door', () => {
  test.each([
    ['splits its answer', 'HTTP/1.1 200 OK\r\nX-A: b\rX-Injected: c\r\nContent-Length: 0\r\n\r\n'],
    [
      'has two framings',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    [
      'switches protocols unasked',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nraw',
    ],
    ['has a header of a megabyte', `HTTP/1.1 200 OK\r\nX-A: ${'b'.repeat(1_000_000)}\r\n\r\n`],
    ['speaks no HTTP', 'SSH-2.0-x\r\n'],
  ])('that %s is a failure of the other side', async (_name, answer) => {
    await using server = await startByteServer(answer)
    const { socketPath } = await open(server.port)
    const url = `http://127.0.0.1:${server.port}/`
    const got = await sendThrough(socketPath, url, { headers: proxyAuthorization(TOKEN) })
    expect(got).toMatchObject({ status: 502, refusal: 'upstream_failed' })
    expect(got.headers['x-injected']).toBeUndefined()
  })

  test('cannot pass its answer off as a refusal of the gateway', async () => {
    await using web = await startWebServer((_request, response) => {
      response.writeHead(200, { 'x-swarm-refusal': 'host_not_allowed' }).end('mine')
    })
    const { socketPath } = await open(web.port)
    const answer = await requestThroughProxy({
      socketPath,
      proxyAuthorization: `Bearer ${TOKEN}`,
      method: 'GET',
      url: `http://127.0.0.1:${web.port}/`,
      headers: {},
      timeoutMs: 5_000,
      bodyBytesMax: 100,
      signal: new AbortController().signal,
    })
    expect(answer).toMatchObject({ status: 200, denied: null, body: 'mine' })
  })
})

describe('a flood of requests that are refused at the door', () => {
  test('leaves a bounded number of events, and all of them are counted', async () => {
    const { socketPath, usage } = await open(1)
    const flood = Array.from({ length: 400 }, () =>
      sendThrough(socketPath, 'http://127.0.0.1:1/', {}).catch(() => undefined),
    )
    const answers = await Promise.all(flood)
    const refused = answers.filter((answer) => answer?.refusal === 'token_missing').length
    expect(refused).toBeGreaterThan(200)
    expect(usage().deniedCount).toBeGreaterThanOrEqual(refused)
    expect(events.length).toBeLessThanOrEqual(60)
    expect(events.length).toBeGreaterThan(0)
  })
})
