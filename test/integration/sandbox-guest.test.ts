import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { duplexPair } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type SpawnedProcess, spawnProcess } from '../../src/platform/process.ts'
import { readPidNamespace } from '../../src/platform/process-identity.ts'
import { connectUnixSocket, listenForChild } from '../../src/platform/unix-socket.ts'
import { type ConnectOptions, connectGuest, GuestConnection } from '../../src/sandbox/guest-connection.ts'
import { encodeFrame, encodeJsonFrame, encodeRequest, FRAME_KINDS } from '../../src/sandbox/guest-protocol.ts'
import {
  type GuestConfig,
  parseExecStatus,
  parseIdentityAck,
  parsePong,
} from '../../src/sandbox/guest-protocol-messages.ts'
import { ensureGuestProgram } from '../support/sandbox.ts'

const SECRET = 'the-secret-of-this-sandbox'
// Each test has its own deadline; one for the whole file would fail the last ones on a slow machine.
const { signal } = new AbortController()

describe('guest program', () => {
  let directory: string
  let guest: SpawnedProcess
  const socketPath = () => join(directory, 'guest.sock')

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'swarm-guest-'))
    await mkdir(join(directory, 'workspace'))
  })
  afterEach(async () => {
    guest.killGroup('SIGKILL')
    await guest.exited
    await rm(directory, { recursive: true, force: true })
  })

  async function startGuest(more: Partial<GuestConfig> = {}): Promise<void> {
    const listener = await listenForChild(socketPath())
    guest = spawnProcess({
      argv: [process.execPath, await ensureGuestProgram()],
      stdio: ['pipe', 'ignore', 'inherit', listener.fd],
    })
    listener.release()
    const config: GuestConfig = {
      sandboxId: 'sbx',
      secret: SECRET,
      controlFd: 3,
      deadmanMs: 60_000,
      env: { PATH: '/usr/bin:/bin' },
      ownDirectories: [],
      workspace: join(directory, 'workspace'),
      argvPrefix: [],
      pathMap: {},
      hasPidNamespace: false,
      hostPidNamespace: await readPidNamespace(),
      ...more,
    }
    guest.stdin?.end(JSON.stringify(config))
  }

  async function connect(more: Partial<ConnectOptions> = {}): Promise<GuestConnection> {
    const stream = await connectUnixSocket(socketPath(), signal)
    return await connectGuest({
      stream,
      sandboxId: 'sbx',
      secret: SECRET,
      nonce: randomBytes(8).toString('hex'),
      timeoutMs: 10_000,
      ...more,
    })
  }

  const identity = { op: 'identity', entropy: 'AAAA', nowMs: Date.now(), hostname: 'h', nonce: 'n' } as const
  const identify = (connection: GuestConnection) => connection.request(identity, parseIdentityAck)

  test('U20: identity (entropy, time, hostname, nonce) is acknowledged before the first command', async () => {
    await startGuest()
    const connection = await connect()
    const exec = { op: 'exec', execId: 'a', argv: ['true'], stdin: 'closed' } as const
    for (const request of [exec, { op: 'usage' }, { op: 'put', path: '/workspace' }] as const) {
      await expect(connection.request(request, parseExecStatus)).rejects.toMatchObject({
        code: 'identity_required',
      })
    }
    const ack = await identify(connection)
    expect(ack.nonce).toBe('n')
    expect(Math.abs(ack.clockOffsetMs)).toBeLessThan(30_000)
    expect(await connection.request(exec, parseExecStatus)).toMatchObject({ execId: 'a', wasStarted: false })
    connection.close('done')
  })

  test('a wrong secret, another version, or another sandbox is refused', async () => {
    await startGuest()
    await expect(connect({ secret: 'a-guess' })).rejects.toThrow('secret_wrong')
    await expect(connect({ secret: '' })).rejects.toThrow('secret_wrong')
    await expect(connect({ sandboxId: 'another' })).rejects.toMatchObject({ code: 'protocol_error' })
    const stranger = await connectUnixSocket(socketPath(), signal)
    stranger.write(encodeJsonFrame('hello', 0, { versions: [999], secret: SECRET, nonce: 'x' }))
    expect((await readAll(stranger)).toString()).toContain('version_unknown')
    const connection = await connect()
    expect(await connection.request({ op: 'ping', nonce: 'still there' }, parsePong)).toEqual({
      nonce: 'still there',
    })
    connection.close('done')
  })

  test('strangers and garbage neither crash nor hang it, nor disturb the host in control', async () => {
    await startGuest()
    const host = await connect()
    await identify(host)
    for (let round = 0; round < 60; round++) {
      const stranger = await connectUnixSocket(socketPath(), signal)
      stranger.on('error', () => {})
      stranger.write(toGarbage(round))
      if (round % 3 === 0) stranger.destroy()
      else
        await Promise.race([
          once(stranger, 'close'),
          once(stranger, 'end'),
          new Promise((r) => setTimeout(r, 20)),
        ])
      stranger.destroy()
    }
    expect(await host.request({ op: 'ping', nonce: 'unmoved' }, parsePong)).toEqual({ nonce: 'unmoved' })
    host.close('done')
  })

  test('a host that knows the secret and then talks nonsense is cut off; the next one is served', async () => {
    await startGuest()
    for (let round = 0; round < 40; round++) {
      const stream = await connectUnixSocket(socketPath(), signal)
      stream.on('error', () => {})
      stream.resume()
      stream.write(encodeJsonFrame('hello', 0, { versions: [1], secret: SECRET, nonce: 'x' }))
      stream.write(encodeRequest(1, identity))
      for (let i = 0; i < 10; i++) stream.write(toNonsense(round * 10 + i))
      await Promise.race([once(stream, 'close'), new Promise((resolve) => setTimeout(resolve, 20))])
      stream.destroy()
    }
    const host = await connect()
    expect(host.welcome?.hasIdentity).toBe(true)
    expect(await host.request({ op: 'ping', nonce: 'alive' }, parsePong)).toEqual({ nonce: 'alive' })
    host.close('done')
  })

  test('a tunnel carries the way out where no socket can be bound', async () => {
    await startGuest({
      gateway: { kind: 'tunnel', port: 0 },
      env: { PATH: '/usr/bin:/bin', URL: 'http://127.0.0.1:3128/' },
    })
    const gateway = createServer((socket) => socket.pipe(socket))
    gateway.listen(join(directory, 'gateway.sock'))
    await once(gateway, 'listening')
    const { connect: open } = await import('node:net')
    const connection = await connect({ openGateway: () => open(join(directory, 'gateway.sock')) })
    await identify(connection)
    const script = `const c=require('net').connect(new URL(process.env.URL).port,'127.0.0.1');const b=Buffer.alloc(3e6,7);let n=0;c.on('data',d=>{n+=d.length;if(n===b.length){console.log('echoed',n);c.destroy()}});c.write(b)`
    const argv = [process.execPath, '-e', script]
    await connection.request(
      { op: 'exec', execId: 't', argv, stdin: 'closed', timeoutMs: 10_000 },
      parseExecStatus,
    )
    const feed = await connection.openFeed({ op: 'attach', execId: 't', stdoutOffset: 0, stderrOffset: 0 })
    let text = ''
    for (let item = await feed.next(); item !== undefined; item = await feed.next()) {
      if (item.kind === 'output') text += item.data.toString()
    }
    expect(text).toBe('echoed 3000000\n')
    connection.close('done')
    gateway.close()
  })

  test('it refuses to run without the pid namespace it was promised', async () => {
    await startGuest({ hasPidNamespace: true })
    expect((await guest.exited).code).not.toBe(0)
  })

  test('its dead-man deadline ends it and what it runs', async () => {
    await startGuest({ deadmanMs: 1000 })
    const connection = await connect()
    await identify(connection)
    const exec = { op: 'exec', execId: 'a', argv: ['sleep', '60'], stdin: 'closed' } as const
    const { pid } = await connection.request(exec, parseExecStatus)
    expect((await guest.exited).code).toBe(75)
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })
})

describe('host side of the guest protocol', () => {
  test('a hostile guest is cut off, whatever it sends; the host neither crashes nor hangs', async () => {
    for (let round = 0; round < 300; round++) {
      const [near, far] = duplexPair()
      far.on('error', () => {})
      far.resume()
      const connection = new GuestConnection({
        stream: near,
        sandboxId: 'sbx',
        secret: SECRET,
        nonce: 'n',
        timeoutMs: 1000,
      })
      connection.welcomed.catch(() => {})
      if (round % 4 !== 0) {
        far.write(
          encodeJsonFrame('welcome', 0, { version: 1, nonce: 'n', sandboxId: 'sbx', hasIdentity: true }),
        )
      }
      const asked = [
        connection.request({ op: 'usage' }, parseExecStatus).catch((error: { code: string }) => error.code),
        connection
          .openFeed({ op: 'attach', execId: 'a', stdoutOffset: 0, stderrOffset: 0 })
          .then((feed) => feed.next())
          .catch((error: { code: string }) => error.code),
      ]
      for (let i = 0; i < 5; i++)
        if (far.writable) far.write(round % 2 === 0 ? toGarbage(round + i) : toNonsense(round + i))
      await new Promise((resolve) => setImmediate(resolve))
      far.destroy()
      connection.close('the round is over')
      await Promise.all(asked)
      expect(connection.isOpen).toBe(false)
    }
  })

  test('output beyond the window or a flood of events ends the connection', async () => {
    const [near, far] = duplexPair()
    far.on('error', () => {})
    far.resume()
    const connection = new GuestConnection({
      stream: near,
      sandboxId: 'sbx',
      secret: SECRET,
      nonce: 'n',
      timeoutMs: 1000,
    })
    far.write(encodeJsonFrame('welcome', 0, { version: 1, nonce: 'n', sandboxId: 'sbx', hasIdentity: true }))
    await connection.welcomed
    const opened = connection.openFeed({ op: 'attach', execId: 'a', stdoutOffset: 0, stderrOffset: 0 })
    far.write(encodeJsonFrame('reply', 1, { ok: 'yes', value: {} }))
    await opened
    const header = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 0])
    for (let i = 0; i < 40 && far.writable; i++)
      far.write(encodeFrame('output', 1, header, Buffer.alloc(64 * 1024)))
    expect(await connection.disconnected).toContain('window')
  })
})

/** Bytes that are no protocol: random, lengths without end, other protocols, half frames. */
function toGarbage(seed: number): Buffer {
  const kinds = [
    () => randomBytes(1 + (seed % 5000)),
    () => Buffer.from([0xff, 0xff, 0xff, 0xff, 1]),
    () => Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n'),
    () => encodeJsonFrame('hello', 0, { versions: [1], secret: SECRET.slice(1), nonce: 'x' }),
    () => encodeJsonFrame('hello', 0, { versions: 'all', secret: [SECRET], nonce: {} }),
    () => encodeJsonFrame('hello', 0, { secret: SECRET }).subarray(0, 12),
    () => encodeRequest(1, { op: 'exec', execId: 'x', argv: ['true'], stdin: 'closed' }),
    () => Buffer.alloc(0x10000),
  ]
  return (kinds[seed % kinds.length] as () => Buffer)()
}

/** Well-formed frames that make no sense: any kind, any id, any JSON. */
function toNonsense(seed: number): Buffer {
  const kind = FRAME_KINDS[seed % FRAME_KINDS.length] as (typeof FRAME_KINDS)[number]
  const bodies = [
    Buffer.from('{}'),
    Buffer.from('null'),
    Buffer.from('{"op":"attach","execId":"none","stdoutOffset":0,"stderrOffset":0}'),
    Buffer.from('{"op":"put","path":"/nowhere/x"}'),
    Buffer.from('{"ok":"yes","value":{"__proto__":1}}'),
    Buffer.from([0, 0, 0, 200, 1]),
    randomBytes(40),
    Buffer.from([0xff, 0xff, 0xff, 0xff]),
  ]
  const body = bodies[(seed * 7) % bodies.length] as Buffer
  if (kind === 'request') return encodeFrame('request', seed % 5, Buffer.from([0, 0, 0, body.length]), body)
  return encodeFrame(kind, seed % 2 === 0 ? 1 : seed * 977, body)
}

async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk)
  return Buffer.concat(chunks)
}
