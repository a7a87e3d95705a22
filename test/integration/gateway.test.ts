import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, stat, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startScriptedModel } from '../../src/cli/local/demo/scripted-model.ts'
import { Secret } from '../../src/config/secrets.ts'
import type { Door, DoorRequest, GatewayEvent } from '../../src/gateway/contract.ts'
import { createGateway, type GatewayOptions } from '../../src/gateway/create-gateway.ts'
import { hashRunToken } from '../../src/gateway/run-token.ts'
import {
  connectThrough,
  proxyAuthorization,
  sendThrough,
  startEchoServer,
  startWebServer,
} from './gateway-client.ts'

const TOKEN = 'the-run-token'
const AUTH = proxyAuthorization(TOKEN)
const NOW = 1_800_000_000_000
const MODEL_KEY = 'planted-model-key-1f9a'

let directory: string
let events: GatewayEvent[]
let doors: Door[]
let now: number
/** Resolves when the next request has ended with its event */
let nextEvent: PromiseWithResolvers<GatewayEvent>

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'swarm-gateway-'))
  events = []
  doors = []
  now = NOW
  nextEvent = Promise.withResolvers()
})

afterEach(async () => {
  for (const door of doors) await door.close()
  await rm(directory, { recursive: true, force: true })
})

type Setup = Partial<GatewayOptions> & { readonly door?: Partial<DoorRequest> }

async function open({ door: changes, ...options }: Setup = {}): Promise<Door> {
  const gateway = createGateway({ hosts: [], models: [], now: () => now, ...options })
  const door = await gateway.openDoor({
    runId: 'run_1',
    ticketId: 'tkt_1',
    runTokenSha256: hashRunToken(TOKEN),
    expiresAt: NOW + 60_000,
    directory,
    policy: { hosts: '*', models: '*' },
    onEvent(event) {
      events.push(event)
      nextEvent.resolve(event)
      nextEvent = Promise.withResolvers()
    },
    ...changes,
  })
  doors.push(door)
  return door
}

function allow(port: number, host = '127.0.0.1') {
  return [{ host, port, allowPrivate: true }]
}

describe('the run token opens its own door only', () => {
  test.each<[string, Record<string, string>, string]>([
    ['none', {}, 'token_missing'],
    ['wrong', proxyAuthorization('another-token'), 'token_wrong'],
    ['its beginning', proxyAuthorization(TOKEN.slice(0, -1)), 'token_wrong'],
    ['empty', proxyAuthorization(''), 'token_wrong'],
    ['in another scheme', { 'proxy-authorization': `Digest ${TOKEN}` }, 'token_missing'],
    ['in the header of the target', { authorization: `Bearer ${TOKEN}` }, 'token_missing'],
  ])('a token that is %s is refused', async (_name, headers, reason) => {
    await using web = await startWebServer((_request, response) => response.end('reached'))
    const door = await open({ hosts: allow(web.port) })
    const answer = await sendThrough(door.socketPath, `http://127.0.0.1:${web.port}/`, { headers })
    expect(answer).toMatchObject({ status: 407, refusal: reason })
    const tunnel = await connectThrough(door.socketPath, `127.0.0.1:${web.port}`, headers)
    expect(tunnel).toMatchObject({ status: 407, refusal: reason })
    tunnel.socket.destroy()
    expect(web.requests).toHaveLength(0)
  })

  test('a token that has expired opens nothing any more', async () => {
    await using web = await startWebServer((_request, response) => response.end('reached'))
    const door = await open({ hosts: allow(web.port) })
    const send = () => sendThrough(door.socketPath, `http://127.0.0.1:${web.port}/`, { headers: AUTH })
    expect(await send()).toMatchObject({ status: 200, body: 'reached' })
    now = NOW + 60_000
    expect(await send()).toMatchObject({ status: 407, refusal: 'token_expired' })
  })

  test('on a model route it is refused in the shape of the provider', async () => {
    const door = await open()
    const answer = await sendThrough(door.socketPath, '/model/m/v1/messages', { method: 'POST', body: '{}' })
    expect(answer.status).toBe(401)
    expect(JSON.parse(answer.body)).toMatchObject({ type: 'error', error: { type: 'swarm_token_missing' } })
  })
})

describe('only allowed targets are reached', () => {
  test('a request in absolute form reaches an allowed host, without the headers between us', async () => {
    await using web = await startWebServer((request, response) => {
      response.setHeader('x-answer', 'yes')
      request.pipe(response)
    })
    const door = await open({ hosts: allow(web.port) })
    const answer = await sendThrough(door.socketPath, `http://127.0.0.1:${web.port}/a?b=c`, {
      method: 'POST',
      body: 'a body',
      headers: { ...AUTH, host: 'other.example', connection: 'x-private', 'x-private': '1', 'x-kept': '2' },
    })
    expect(answer).toMatchObject({ status: 200, body: 'a body' })
    expect(answer.headers['x-answer']).toBe('yes')
    const [seen] = web.requests
    expect(seen?.url).toBe('/a?b=c')
    expect(seen?.headers.host).toBe(`127.0.0.1:${web.port}`)
    expect(seen?.headers['x-kept']).toBe('2')
    expect(seen?.headers['proxy-authorization']).toBeUndefined()
    expect(seen?.headers['x-private']).toBeUndefined()
    expect(JSON.stringify(seen?.rawHeaders)).not.toContain(TOKEN)
  })

  test('every request leaves one event, without path, header or body', async () => {
    await using web = await startWebServer((_request, response) => response.end('four'))
    const door = await open({ hosts: allow(web.port) })
    await sendThrough(door.socketPath, `http://127.0.0.1:${web.port}/secret-path?q=secret-query`, {
      method: 'POST',
      body: 'sixsix',
      headers: { ...AUTH, cookie: 'secret-cookie' },
    })
    await sendThrough(door.socketPath, 'http://denied.example/x', { headers: AUTH })
    expect(events).toEqual([
      {
        at: NOW,
        runId: 'run_1',
        ticketId: 'tkt_1',
        via: 'http',
        method: 'POST',
        host: '127.0.0.1',
        port: web.port,
        model: null,
        status: 200,
        denied: null,
        requestBytes: 6,
        responseBytes: 4,
        durationMs: 0,
        tokens: null,
      },
      expect.objectContaining({ host: 'denied.example', port: 80, status: null, denied: 'host_not_allowed' }),
    ])
    expect(door.usage()).toMatchObject({ requestCount: 2, deniedCount: 1 })
  })

  test('CONNECT opens a tunnel to an allowed host, and to no other', async () => {
    await using echo = await startEchoServer()
    const door = await open({ hosts: allow(echo.port) })
    const { status, socket } = await connectThrough(door.socketPath, `127.0.0.1:${echo.port}`, AUTH)
    expect(status).toBe(200)
    socket.write('through the tunnel')
    const [data] = await once(socket, 'data')
    expect(String(data)).toBe('through the tunnel')
    const ended = nextEvent.promise
    socket.end()
    expect(await ended).toMatchObject({
      via: 'connect',
      status: 200,
      denied: null,
      requestBytes: 18,
      responseBytes: 18,
    })

    for (const authority of [`127.0.0.1:${echo.port + 1}`, 'denied.example:443']) {
      const refused = await connectThrough(door.socketPath, authority, AUTH)
      expect(refused).toMatchObject({ status: 403, refusal: 'host_not_allowed' })
      refused.socket.destroy()
    }
  })

  test('what the operator allows is not open to a run that did not ask for it, nor the other way round', async () => {
    await using web = await startWebServer((_request, response) => response.end('reached'))
    const url = `http://127.0.0.1:${web.port}/`
    const other = [{ host: 'other.example', port: 80 }]
    const unasked = await open({ hosts: allow(web.port), door: { policy: { hosts: other, models: [] } } })
    expect(await sendThrough(unasked.socketPath, url, { headers: AUTH })).toMatchObject({
      refusal: 'host_not_allowed',
    })
    const unallowed = await open({
      hosts: other,
      door: { policy: { hosts: [{ host: '127.0.0.1', port: web.port }], models: [] } },
    })
    expect(await sendThrough(unallowed.socketPath, url, { headers: AUTH })).toMatchObject({
      refusal: 'host_not_allowed',
    })
    expect(web.requests).toHaveLength(0)
  })

  test('a wildcard allows what is below the domain, on its port', async () => {
    const asked: string[] = []
    const door = await open({
      hosts: [{ host: '*.example.com', port: 80 }],
      resolve: async (host) => {
        asked.push(host)
        return []
      },
    })
    const refusal = async (url: string) =>
      (await sendThrough(door.socketPath, url, { headers: AUTH })).refusal
    expect(await refusal('http://api.example.com/')).toBe('resolve_failed')
    expect(await refusal('http://API.Example.COM./')).toBe('resolve_failed')
    expect(await refusal('http://example.com/')).toBe('host_not_allowed')
    expect(await refusal('http://evilexample.com/')).toBe('host_not_allowed')
    expect(await refusal('http://api.example.com.evil.example/')).toBe('host_not_allowed')
    expect(await refusal('http://api.example.com:8080/')).toBe('host_not_allowed')
    expect(asked).toEqual(['api.example.com', 'api.example.com'])
  })

  test.each([
    'ftp://127.0.0.1/',
    'http://user:pass@127.0.0.1/',
    'file:///etc/passwd',
    '/etc/passwd',
    'http://',
    '*',
  ])('%s is no target', async (path) => {
    const door = await open({ hosts: allow(80) })
    expect(await sendThrough(door.socketPath, path, { headers: AUTH })).toMatchObject({
      refusal: 'target_invalid',
    })
  })
})

describe('private addresses stay out of reach', () => {
  const attempt = async (url: string, resolve: GatewayOptions['resolve'], hosts: GatewayOptions['hosts']) => {
    const door = await open({ hosts, ...(resolve === undefined ? {} : { resolve }) })
    const { refusal } = await sendThrough(door.socketPath, url, { headers: AUTH })
    return refusal
  }

  test.each([
    ['loopback', ['127.0.0.1']],
    ['metadata', ['169.254.169.254']],
    ['an in-house network', ['10.0.0.8']],
    ['IPv6 loopback', ['::1']],
    ['IPv4 inside IPv6', ['::ffff:127.0.0.1']],
    ['one public and one private address', ['93.184.216.34', '192.168.0.1']],
    ['no address at all', ['localhost']],
  ])('an allowed name that leads to %s is refused', async (_name, addresses) => {
    expect(
      await attempt('http://site.example/', async () => addresses, [{ host: 'site.example', port: 80 }]),
    ).toBe('address_refused')
  })

  test.each([
    'http://127.0.0.1/',
    'http://2130706433/',
    'http://0x7f.0.0.1/',
    'http://0177.1/',
    'http://[::1]/',
  ])('%s is loopback however it is written', async (url) => {
    const hosts = [
      { host: '127.0.0.1', port: 80 },
      { host: '::1', port: 80 },
    ]
    expect(await attempt(url, undefined, hosts)).toBe('address_refused')
  })

  test('metadata and link-local addresses stay refused where private ones are allowed', async () => {
    for (const host of ['169.254.169.254', 'fe80::1', '100.100.100.200']) {
      const url = `http://${host.includes(':') ? `[${host}]` : host}/`
      expect(await attempt(url, undefined, allow(80, host))).toBe('address_refused')
    }
  })

  test('the checked address is dialled: a name that changes its answer gains nothing', async () => {
    await using web = await startWebServer((_request, response) => response.end('in-house'))
    let asked = 0
    const rebinding = async () => {
      asked += 1
      return asked === 1 ? ['127.0.0.1'] : ['127.0.0.2']
    }
    const door = await open({ hosts: allow(web.port, 'site.example'), resolve: rebinding })
    const answer = await sendThrough(door.socketPath, `http://site.example:${web.port}/`, { headers: AUTH })
    expect(answer).toMatchObject({ status: 200, body: 'in-house' })
    expect(asked).toBe(1)
    expect(web.requests[0]?.headers.host).toBe(`site.example:${web.port}`)

    const turning = async () => (asked++ === 1 ? ['93.184.216.34'] : ['127.0.0.1'])
    asked = 2
    expect(await attempt('http://site.example/', turning, [{ host: 'site.example', port: 80 }])).toBe(
      'address_refused',
    )
  })

  test('private addresses cannot be allowed by wildcard', () => {
    const hosts = [{ host: '*.internal.example', port: 80, allowPrivate: true }]
    expect(() => createGateway({ hosts, models: [], now: Date.now })).toThrow(/one exact host/)
  })
})

describe('a placeholder becomes its secret for its own hosts only', () => {
  const secret = new Secret('planted-forge-secret')
  const setup = (port: number) => ({
    hosts: [...allow(port), { host: 'other.example', port: 80 }],
    placeholders: [{ placeholder: 'placeholder-7', hosts: [{ host: '127.0.0.1', port }], secret }],
    resolve: async (host: string) => [host === 'other.example' ? '93.184.216.34' : host],
  })

  test('in a header, also inside Basic credentials, and out of the answer again', async () => {
    await using web = await startWebServer((request, response) => {
      response.setHeader('x-echo', String(request.headers['x-token']))
      response.end(`you sent ${request.headers['x-token']}`)
    })
    const door = await open(setup(web.port))
    const basic = `Basic ${Buffer.from('user:placeholder-7').toString('base64')}`
    const answer = await sendThrough(door.socketPath, `http://127.0.0.1:${web.port}/`, {
      headers: { ...AUTH, 'x-token': 'placeholder-7', authorization: basic },
    })
    expect(web.requests[0]?.headers['x-token']).toBe('planted-forge-secret')
    expect(web.requests[0]?.headers.authorization).toBe(
      `Basic ${Buffer.from('user:planted-forge-secret').toString('base64')}`,
    )
    expect(answer.body).toBe('you sent [redacted]')
    expect(JSON.stringify(answer.headers)).not.toContain('planted-forge-secret')
  })

  test('on its way to another host it is stopped', async () => {
    await using web = await startWebServer((_request, response) => response.end())
    const door = await open(setup(web.port))
    const answer = await sendThrough(door.socketPath, 'http://other.example/', {
      headers: { ...AUTH, authorization: 'Bearer placeholder-7' },
    })
    expect(answer).toMatchObject({ status: 403, refusal: 'placeholder_misused' })
  })
})

describe('limits', () => {
  test('requests per minute, with the time to wait', async () => {
    const door = await open({
      door: { policy: { hosts: '*', models: '*', limits: { requestsPerMinute: 2 } } },
    })
    const send = () => sendThrough(door.socketPath, 'http://denied.example/', { headers: AUTH })
    await send()
    await send()
    const third = await send()
    expect(third).toMatchObject({ status: 429, refusal: 'rate_limited' })
    expect(third.headers['retry-after']).toBe('30')
    now += 30_000
    expect(await send()).toMatchObject({ refusal: 'host_not_allowed' })
  })

  test('a body that is too large, in either direction', async () => {
    await using web = await startWebServer((request, response) => {
      request.resume()
      request.once('end', () => response.end('x'.repeat(5_000)))
    })
    const limits = { requestBytesMax: 1_000, responseBytesMax: 2_000 }
    const door = await open({ hosts: allow(web.port), door: { policy: { hosts: '*', models: '*', limits } } })
    const url = `http://127.0.0.1:${web.port}/`
    const large = await sendThrough(door.socketPath, url, {
      method: 'POST',
      headers: AUTH,
      body: 'x'.repeat(100_000),
    }).catch(() => undefined)
    // The gateway may hang up before the client has sent all of it.
    if (large !== undefined) expect(large).toMatchObject({ status: 413, refusal: 'request_too_large' })
    expect(events.at(-1)).toMatchObject({ denied: 'request_too_large' })
    const event = nextEvent.promise
    await expect(sendThrough(door.socketPath, url, { headers: AUTH })).rejects.toThrow()
    expect(await event).toMatchObject({ status: 200, denied: 'response_too_large' })
  })

  test('U18: a server that never answers is given up', async () => {
    await using web = await startWebServer(() => {})
    const limits = { requestTimeoutMs: 150 }
    const door = await open({ hosts: allow(web.port), door: { policy: { hosts: '*', models: '*', limits } } })
    const answer = await sendThrough(door.socketPath, `http://127.0.0.1:${web.port}/`, { headers: AUTH })
    expect(answer).toMatchObject({ status: 504, refusal: 'timed_out' })
  })

  test('U18: a stream and a tunnel that fall silent are ended', async () => {
    await using web = await startWebServer((_request, response) => void response.write('begun'))
    await using echo = await startEchoServer()
    const limits = { idleTimeoutMs: 150 }
    const door = await open({
      hosts: [...allow(web.port), ...allow(echo.port)],
      door: { policy: { hosts: '*', models: '*', limits } },
    })
    const silent = sendThrough(door.socketPath, `http://127.0.0.1:${web.port}/`, { headers: AUTH })
    const event = nextEvent.promise
    await expect(silent).rejects.toThrow()
    expect(await event).toMatchObject({ denied: 'timed_out' })
    const { socket } = await connectThrough(door.socketPath, `127.0.0.1:${echo.port}`, AUTH)
    const ended = nextEvent.promise
    await once(socket.resume(), 'close')
    expect(await ended).toMatchObject({ via: 'connect', denied: 'timed_out' })
  })

  test('a client that hangs up ends its request on the other side too', async () => {
    const gone = Promise.withResolvers<void>()
    const reached = Promise.withResolvers<void>()
    await using web = await startWebServer((_request, response) => {
      reached.resolve()
      response.once('close', () => gone.resolve())
    })
    const door = await open({ hosts: allow(web.port) })
    const { connect } = await import('node:net')
    const client = connect(door.socketPath)
    client.write(
      `GET http://127.0.0.1:${web.port}/ HTTP/1.1\r\nhost: x\r\nproxy-authorization: ${AUTH['proxy-authorization']}\r\n\r\n`,
    )
    await reached.promise
    const ended = nextEvent.promise
    client.destroy()
    await gone.promise
    expect(await ended).toMatchObject({ denied: 'closed' })
  })
})

describe('the door itself', () => {
  test('it is open to the user of the sandbox, and gone when closed', async () => {
    const door = await open()
    expect((await stat(door.socketPath)).mode & 0o777).toBe(0o666)
    await door.close()
    await door.close()
    await expect(stat(door.socketPath)).rejects.toThrow(/ENOENT/)
  })

  test('opened again on the same directory it takes over, and the old one does not take it down', async () => {
    await using web = await startWebServer((_request, response) => response.end('reached'))
    const first = await open({ hosts: allow(web.port) })
    const second = await open({ hosts: allow(web.port) })
    expect(second.socketPath).toBe(first.socketPath)
    await first.close()
    const answer = await sendThrough(second.socketPath, `http://127.0.0.1:${web.port}/`, { headers: AUTH })
    expect(answer.status).toBe(200)
    expect(second.usage().requestCount).toBe(1)
  })

  test('a deep state directory is no obstacle, and nothing but the socket is left in it', async () => {
    await using web = await startWebServer((_request, response) => response.end('reached'))
    const deep = join(directory, 'd'.repeat(120))
    await mkdir(deep)
    const door = await open({ hosts: allow(web.port), door: { directory: deep } })
    expect(await readdir(deep)).toEqual(['gateway.sock'])
    const link = join(directory, 'short')
    await symlink(deep, link)
    const url = `http://127.0.0.1:${web.port}/`
    expect((await sendThrough(join(link, 'gateway.sock'), url, { headers: AUTH })).body).toBe('reached')
    await door.close()
    expect(await readdir(deep)).toEqual([])
  })

  test('closing ends what is under way', async () => {
    const reached = Promise.withResolvers<void>()
    await using web = await startWebServer(() => reached.resolve())
    const door = await open({ hosts: allow(web.port) })
    const cut = expect(
      sendThrough(door.socketPath, `http://127.0.0.1:${web.port}/`, { headers: AUTH }),
    ).rejects.toThrow()
    await reached.promise
    const ended = nextEvent.promise
    await door.close()
    await cut
    expect(await ended).toMatchObject({ denied: 'closed' })
  })

  test('a directory that is not there is one clear error', async () => {
    await expect(open({ door: { directory: join(directory, 'none') } })).rejects.toMatchObject({
      name: 'GatewayTroubleError',
      code: 'socket_failed',
    })
  })
})

describe('model routes', () => {
  const scripts = [{ needle: 'hello', turns: [() => ({ say: 'hello to you', calls: [] })] }]
  const route = (baseUrl: string, protocol: 'anthropic-messages' | 'openai-chat' = 'anthropic-messages') => ({
    name: 'scripted',
    protocol,
    baseUrl,
    apiKey: new Secret(MODEL_KEY),
    upstreamModel: 'real-name',
  })
  const ask = { model: 'any', max_tokens: 10, messages: [{ role: 'user', content: 'hello' }] }
  const post = (door: Door, path: string, body: unknown, headers: Record<string, string> = {}) =>
    sendThrough(door.socketPath, path, {
      method: 'POST',
      headers: { 'x-api-key': TOKEN, 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })

  test.each([
    ['anthropic-messages', '/v1/messages', false],
    ['anthropic-messages', '/v1/messages', true],
    ['openai-chat', '/v1/chat/completions', false],
    ['openai-chat', '/v1/chat/completions', true],
  ] as const)(
    '%s %s (streamed: %s): the key is added outside and the tokens are counted',
    async (protocol, path, stream) => {
      await using model = await startScriptedModel({ scripts, apiKey: MODEL_KEY })
      const door = await open({ models: [route(model.url, protocol)] })
      const answer = await post(door, `/model/scripted${path}`, { ...ask, stream })
      expect(answer.status).toBe(200)
      expect(answer.body).toContain('hello')
      expect(model.requests).toEqual([
        expect.objectContaining({ path, isStreamed: stream, isAuthorized: true }),
      ])
      expect(events).toHaveLength(1)
      expect(events[0]?.tokens).toMatchObject({ isEstimated: false, cachedInputTokens: 0 })
      expect(events[0]?.tokens?.inputTokens).toBeGreaterThan(10)
      expect(events[0]?.tokens?.outputTokens).toBeGreaterThan(1)
      expect(door.usage().inputTokens).toBe(events[0]?.tokens?.inputTokens)
    },
  )

  test('U15: a planted model key is found nowhere: not in answers, events, headers or the gateway’s values', async () => {
    // A careless provider that sends the credential back, in pieces.
    await using web = await startWebServer((request, response) => {
      response.setHeader('request-id', 'fine')
      response.setHeader('x-leak', String(request.headers['x-api-key']))
      response.writeHead(request.url === '/v1/messages' ? 200 : 500, { 'content-type': 'application/json' })
      const text = `{"key":"${request.headers['x-api-key']}"}`
      response.write(text.slice(0, 15))
      setImmediate(() => response.end(text.slice(15)))
    })
    const options = { models: [route(`http://127.0.0.1:${web.port}`)] }
    const door = await open(options)
    const answers = [
      await post(door, '/model/scripted/v1/messages', ask),
      await post(door, '/model/scripted/v1/messages/count_tokens', ask),
    ]
    expect(web.requests[0]?.headers['x-api-key']).toBe(MODEL_KEY)
    expect(answers[0]?.body).toBe('{"key":"[redacted]"}')
    expect(answers[0]?.headers['request-id']).toBe('fine')
    const everything =
      JSON.stringify({ answers, events, options, usage: door.usage() }) + inspect(options, { depth: 9 })
    expect(everything).not.toContain(MODEL_KEY)
    // Nor does the run token leave for the provider.
    expect(JSON.stringify(web.requests.map((request) => request.rawHeaders))).not.toContain(TOKEN)
  })

  test('the agent does not choose the provider’s model, nor add headers of its own', async () => {
    const bodies: string[] = []
    await using web = await startWebServer((request, response) => {
      request.on('data', (chunk) => bodies.push(String(chunk)))
      request.once('end', () => response.end('{}'))
    })
    const door = await open({ models: [route(`http://127.0.0.1:${web.port}/v1/`)] })
    await post(door, '/model/scripted/v1/messages?x=1', ask, {
      'x-evil': '1',
      'anthropic-version': '2023-06-01',
    })
    expect(JSON.parse(bodies.join(''))).toEqual({ ...ask, model: 'real-name' })
    expect(web.requests[0]?.url).toBe('/v1/messages')
    expect(web.requests[0]?.headers['x-evil']).toBeUndefined()
    expect(web.requests[0]?.headers['anthropic-version']).toBe('2023-06-01')
  })

  test.each([
    ['another model', '/model/other/v1/messages', 'model_unknown'],
    ['another path', '/model/scripted/v1/files', 'model_route_unknown'],
    ['another protocol', '/model/scripted/v1/chat/completions', 'model_route_unknown'],
    ['a path that climbs', '/model/scripted/v1/messages/../../admin', 'model_route_unknown'],
  ])('%s is refused', async (_name, path, reason) => {
    await using model = await startScriptedModel({ scripts })
    const door = await open({ models: [route(model.url)] })
    expect(await post(door, path, ask)).toMatchObject({ refusal: reason })
    expect(model.requests).toHaveLength(0)
  })

  test('a run sees the models it asked for, with their protocols', async () => {
    const models = [
      route('http://127.0.0.1:9'),
      { ...route('http://127.0.0.1:9', 'openai-chat'), name: 'second' },
    ]
    const door = await open({ models, door: { policy: { hosts: [], models: ['second'] } } })
    const answer = await sendThrough(door.socketPath, '/model/', {
      headers: { authorization: `Bearer ${TOKEN}` },
    })
    expect(JSON.parse(answer.body)).toEqual({ models: [{ name: 'second', protocol: 'openai-chat' }] })
    expect(await post(door, '/model/scripted/v1/messages', ask)).toMatchObject({ refusal: 'model_unknown' })
  })

  test('a provider that is busy is passed on with the time it asks for', async () => {
    await using model = await startScriptedModel({ scripts, apiKey: MODEL_KEY })
    const door = await open({ models: [route(model.url)] })
    for (const status of [429, 529]) {
      model.failNext({ kind: 'status', status, retryAfterSeconds: 7 })
      const answer = await post(door, '/model/scripted/v1/messages', ask)
      expect(answer).toMatchObject({ status, refusal: undefined })
      expect(answer.headers['retry-after']).toBe('7')
      expect(events.at(-1)).toMatchObject({ status, tokens: null })
    }
  })

  test('an answer that breaks off still counts', async () => {
    await using model = await startScriptedModel({ scripts, apiKey: MODEL_KEY })
    const door = await open({ models: [route(model.url, 'openai-chat')] })
    model.failNext({ kind: 'cut' })
    const event = nextEvent.promise
    await expect(
      post(door, '/model/scripted/v1/chat/completions', { ...ask, stream: true }),
    ).rejects.toThrow()
    expect(await event).toMatchObject({ denied: 'upstream_failed', tokens: { isEstimated: true } })
    expect(door.usage().inputTokens).toBeGreaterThan(0)
  })

  test('a run that has spent its tokens gets no further answer', async () => {
    await using model = await startScriptedModel({ scripts, apiKey: MODEL_KEY })
    const limits = { tokensMax: 5 }
    const door = await open({
      models: [route(model.url)],
      door: { policy: { hosts: '*', models: '*', limits } },
    })
    expect(await post(door, '/model/scripted/v1/messages', ask)).toMatchObject({ status: 200 })
    expect(await post(door, '/model/scripted/v1/messages', ask)).toMatchObject({ refusal: 'budget_spent' })
    expect(model.requests).toHaveLength(1)
  })

  test('a key that cannot be had is refused as such, with what is missing, and nothing is asked without it', async () => {
    await using model = await startScriptedModel({ scripts, apiKey: MODEL_KEY })
    const missing = { reveal: () => Promise.reject(new Error('the environment variable KEY is not set')) }
    const door = await open({ models: [{ ...route(model.url), apiKey: missing }] })
    const answer = await post(door, '/model/scripted/v1/messages', ask)
    expect(answer).toMatchObject({ status: 403, refusal: 'model_key_missing' })
    expect(answer.body).toContain('the environment variable KEY is not set')
    expect(model.requests).toHaveLength(0)
  })

  test.each([
    ['no JSON', 'not json', 'request_invalid'],
    ['no object', '[1]', 'request_invalid'],
  ])('a request that is %s does not leave', async (_name, body, reason) => {
    await using model = await startScriptedModel({ scripts })
    const door = await open({ models: [route(model.url)] })
    const headers = { authorization: `Bearer ${TOKEN}` }
    const path = '/model/scripted/v1/messages'
    expect(await sendThrough(door.socketPath, path, { method: 'POST', headers, body })).toMatchObject({
      refusal: reason,
    })
    expect(model.requests).toHaveLength(0)
  })

  test('a provider that cannot be reached, redirects or speaks nonsense is a failure of the other side', async () => {
    await using web = await startWebServer((_request, response) => {
      response.writeHead(302, { location: 'http://elsewhere.example/' }).end()
    })
    const door = await open({ models: [route(`http://127.0.0.1:${web.port}`)] })
    expect(await post(door, '/model/scripted/v1/messages', ask)).toMatchObject({ refusal: 'upstream_failed' })
    const away = await open({ models: [route('http://127.0.0.1:9')] })
    expect(await post(away, '/model/scripted/v1/messages', ask)).toMatchObject({
      status: 502,
      refusal: 'connect_failed',
    })
  })
})
