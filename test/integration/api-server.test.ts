import { mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createUnixFetch } from '../../src/platform/fetch-unix.ts'
import {
  type HttpHandler,
  type HttpServer,
  serveHttpOnTcp,
  serveHttpOnUnixSocket,
} from '../../src/platform/http-server.ts'

let directory: string
const servers: HttpServer[] = []
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'swarm-http-'))
})
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close({ graceMs: 100 })))
  await rm(directory, { recursive: true, force: true })
})

const hello: HttpHandler = async (_request, peer) => new Response(peer.kind)
const socketPath = () => join(directory, 'api.sock')

async function serve(handler: HttpHandler, path = socketPath()): Promise<HttpServer> {
  const server = await serveHttpOnUnixSocket(handler, path)
  servers.push(server)
  return server
}

async function serveTcp(handler: HttpHandler, limits = {}): Promise<HttpServer> {
  const server = await serveHttpOnTcp(handler, { host: '127.0.0.1', port: 0 }, limits)
  servers.push(server)
  return server
}

describe('a unix socket', () => {
  test('is open to its owner only, and nothing else is left in its folder', async () => {
    await serve(hello)
    expect((await stat(socketPath())).mode & 0o777).toBe(0o600)
    expect(await readdir(directory)).toEqual(['api.sock'])
    expect(await (await createUnixFetch(socketPath())('http://localhost/')).text()).toBe('unix')
  })

  test('is taken over when nobody listens, and refused when somebody does', async () => {
    const { promise: bound, resolve } = Promise.withResolvers<void>()
    const dead = createServer()
    dead.listen(join(directory, 'dead'), resolve)
    await bound
    await symlink('dead', socketPath())
    await expect(serveHttpOnUnixSocket(hello, socketPath())).rejects.toThrow(/file of another kind/)
    await rm(socketPath())
    dead.close()

    const first = await serve(hello)
    await expect(serveHttpOnUnixSocket(hello, socketPath())).rejects.toThrow(/another process does/)
    await first.close({ graceMs: 0 })
    expect(await readdir(directory)).toEqual([])
    await serve(hello)
  })

  test('never replaces a file that is no socket', async () => {
    await writeFile(socketPath(), 'mine')
    await expect(serveHttpOnUnixSocket(hello, socketPath())).rejects.toThrow(/file of another kind/)
    expect(await readdir(directory)).toEqual(['api.sock'])
  })

  test('says what to do when its path is too long', async () => {
    const path = join(directory, 'x'.repeat(120))
    await expect(serveHttpOnUnixSocket(hello, path)).rejects.toThrow(/shorter state directory/)
  })
})

describe('serving', () => {
  test('TCP tells the address of the other end and the port in use', async () => {
    const peers: unknown[] = []
    const server = await serveTcp(async (_request, peer) => {
      peers.push(peer)
      return new Response('ok')
    })
    expect(server.url).toBe(`http://127.0.0.1:${server.port}`)
    await fetch(server.url)
    expect(peers).toEqual([{ kind: 'tcp', address: '127.0.0.1' }])
  })

  test('a handler that throws is 500 without its message', async () => {
    const server = await serveTcp(async () => {
      throw new Error('hunter2')
    })
    const response = await fetch(server.url)
    expect(response.status).toBe(500)
    expect(await response.text()).not.toContain('hunter2')
  })

  test('the signal of a request aborts when the other end hangs up', async () => {
    for (const kind of ['unix', 'tcp']) {
      const { promise: aborted, resolve } = Promise.withResolvers<void>()
      const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>()
      const handler: HttpHandler = async (request) => {
        request.signal.addEventListener('abort', () => resolve())
        arrive()
        await aborted
        return new Response('late')
      }
      const server = kind === 'unix' ? await serve(handler) : await serveTcp(handler)
      const stop = new AbortController()
      const call = kind === 'unix' ? createUnixFetch(socketPath()) : fetch
      const url = kind === 'unix' ? 'http://localhost/' : server.url
      const calling = call(url, { signal: stop.signal }).catch((error: unknown) => error)
      await arrived
      stop.abort()
      await aborted
      expect(await calling).toBeInstanceOf(DOMException)
    }
  })

  test('closing lets what is under way end, then cuts it; it takes nothing new', async () => {
    const gate = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    const server = await serveTcp(async () => {
      arrived.resolve()
      await gate.promise
      return new Response('whole')
    })
    const calling = fetch(server.url).then((response) => response.text())
    await arrived.promise
    const closing = server.close({ graceMs: 10_000 })
    gate.resolve()
    expect(await calling).toBe('whole')
    await closing
    await expect(fetch(server.url)).rejects.toThrow()

    const stuck = await serveTcp(() => new Promise(() => {}))
    const hanging = fetch(stuck.url).catch(() => 'cut')
    await expect.poll(async () => stuck.port).not.toBeNull()
    await stuck.close({ graceMs: 50 })
    expect(await hanging).toBe('cut')
  })

  test('U18: a request that never arrives in whole is ended', async () => {
    const server = await serveTcp(hello, { requestTimeoutMs: 300 })
    const { connect } = await import('node:net')
    const socket = connect(server.port ?? 0, '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nhalf')
    const ended = Promise.withResolvers<void>()
    socket.on('close', () => ended.resolve())
    socket.on('error', () => {})
    socket.resume()
    await ended.promise
  }, 60_000)
})

describe('fetch over a unix socket', () => {
  test('sends method, headers and body; gives status, headers and a streamed body', async () => {
    const go = Promise.withResolvers<void>()
    await serve(async (request) => {
      const text = `${request.method} ${new URL(request.url).pathname} ${request.headers.get('x-a')} ${await request.text()}`
      const body = new ReadableStream<Uint8Array>({
        async start(controller) {
          controller.enqueue(new TextEncoder().encode(text))
          await go.promise
          controller.close()
        },
      })
      return new Response(body, { status: 202, headers: { 'x-b': 'c' } })
    })
    const call = createUnixFetch(socketPath())
    const response = await call('http://localhost/p?q=1', {
      method: 'POST',
      headers: { 'x-a': 'b' },
      body: 'data',
    })
    expect([response.status, response.headers.get('x-b')]).toEqual([202, 'c'])
    const reader = response.body?.getReader()
    const first = await reader?.read()
    expect(new TextDecoder().decode(first?.value)).toBe('POST /p b data')
    go.resolve()
    expect((await reader?.read())?.done).toBe(true)
  })

  test('a socket that is not there is a TypeError that names it; an abort is the abort', async () => {
    const call = createUnixFetch(socketPath())
    await expect(call('http://localhost/')).rejects.toThrow(TypeError)
    await expect(call('http://localhost/')).rejects.toThrow(socketPath())
    await expect(call('http://localhost/', { signal: AbortSignal.abort() })).rejects.toThrow(DOMException)
  })

  test('a body that breaks off is an error, not an end', async () => {
    const server = await serve(async () => {
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(new Uint8Array([65]))
        },
      })
      return new Response(body)
    })
    const response = await createUnixFetch(socketPath())('http://localhost/')
    const reading = response.text().then(
      () => 'ended',
      () => 'broke',
    )
    await server.close({ graceMs: 50 })
    expect(await reading).toBe('broke')
  })
})
