import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { extract, type Header, pack } from 'tar-stream'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { findPidsByMarker } from '../../src/platform/process-identity.ts'
import type { ExecEvent, ExecRequest, Sandbox, SandboxDriver } from '../../src/sandbox/contract.ts'
import { runInSandbox } from '../../src/sandbox/run-in-sandbox.ts'
import { spawnTestSandbox, toTestSpawnRequest } from '../support/sandbox.ts'

export type SuiteSubject = {
  readonly name: string
  /** Whether real processes run inside */
  readonly isReal: boolean
  /** Drivers made with the same directory know the same sandboxes */
  readonly createDriver: (stateDir: string) => Promise<SandboxDriver>
}

const TIMEOUT_MS = 20_000

/** What every driver promises. */
export function describeSandboxDriver(subject: SuiteSubject): void {
  describe(`sandbox driver ${subject.name}`, () => {
    const { isReal } = subject
    let stateDir: string
    let driver: SandboxDriver
    let execCount = 0

    beforeAll(async () => {
      stateDir = await mkdtemp(join(tmpdir(), 'swarm-sandbox-'))
      driver = await subject.createDriver(stateDir)
    })
    afterEach(async () => {
      const { problems } = await driver.gc(new Set())
      expect(problems).toEqual([])
    })
    afterAll(async () => {
      await rm(stateDir, { recursive: true, force: true })
    })

    const nextExecId = () => `exec-${++execCount}`
    const run = async (sandbox: Sandbox, argv: readonly string[], more: Partial<ExecRequest> = {}) => {
      const request = { execId: nextExecId(), argv, timeoutMs: TIMEOUT_MS, ...more }
      const result = await runInSandbox(sandbox, request, { outputBytesMax: 1_000_000 })
      if (result.kind === 'lost') return result
      return { ...result, stdout: result.stdout.toString(), stderr: result.stderr.toString() }
    }
    const processesOf = (id: string) => findPidsByMarker(`SWARM_SANDBOX_ID\0${id}\0`, 'cmdline')

    test('the probe really starts one and says what it found', async () => {
      expect(await driver.probe(AbortSignal.timeout(TIMEOUT_MS))).toMatchObject({ ok: true })
    })

    test('a template is the same for the same spec', async () => {
      const [a, b] = [await driver.prepareTemplate({}), await driver.prepareTemplate({})]
      expect(a).toEqual(b)
      expect((await driver.prepareTemplate({ rootDirectory: '/srv/x' })).key).not.toBe(a.key)
    })

    test('a command has its output, its exit code and nothing of a shell', async () => {
      const sandbox = await spawnTestSandbox(driver)
      const hostile = '$(touch /workspace/pwned) `id` ; "\' \n ${HOME} *'
      expect(await run(sandbox, ['echo', hostile])).toMatchObject({
        code: 0,
        stdout: `${hostile}\n`,
        stderr: '',
      })
      expect(await run(sandbox, ['false'])).toMatchObject({ code: 1, signal: null, stdout: '' })
      expect(await run(sandbox, ['pwd'])).toMatchObject({ code: 0 })
      expect(await run(sandbox, ['no-such-program'])).toMatchObject({
        code: 127,
        stderr: 'swarm: no-such-program: command not found\n',
      })
      await expect(sandbox.getFile('/workspace/pwned', { bytesMax: 10 })).rejects.toMatchObject({
        code: 'not_found',
      })
    })

    test('U13: every driver gives the same result for the same step', async () => {
      const sandbox = await spawnTestSandbox(driver, {
        env: { GREETING: 'from the sandbox', BOTH: 'sandbox' },
      })
      await sandbox.putFile('/swarm/attempt/input.json', '{"title":"größer ✓"}')
      const copied = await run(sandbox, ['cp', '/swarm/attempt/input.json', '/swarm/attempt/output.json'])
      const printed = await run(sandbox, ['cat', 'output.json'], { cwd: '/swarm/attempt' })
      const inherited = await run(sandbox, ['printenv', 'GREETING'])
      const overridden = await run(sandbox, ['printenv', 'BOTH'], { env: { BOTH: 'exec' } })
      const absent = await run(sandbox, ['cat', '/swarm/attempt/none.json'])
      const output = await sandbox.getFile('/swarm/attempt/output.json', { bytesMax: 1000 })
      expect({ copied, printed, inherited, overridden, absentCode: 'code' in absent && absent.code }).toEqual(
        {
          copied: { kind: 'exited', code: 0, signal: null, stdout: '', stderr: '', truncated: false },
          printed: {
            kind: 'exited',
            code: 0,
            signal: null,
            stdout: '{"title":"größer ✓"}',
            stderr: '',
            truncated: false,
          },
          inherited: {
            kind: 'exited',
            code: 0,
            signal: null,
            stdout: 'from the sandbox\n',
            stderr: '',
            truncated: false,
          },
          overridden: {
            kind: 'exited',
            code: 0,
            signal: null,
            stdout: 'exec\n',
            stderr: '',
            truncated: false,
          },
          absentCode: 1,
        },
      )
      expect(output.toString()).toBe('{"title":"größer ✓"}')
    })

    test('U20: identity (entropy, time, hostname, nonce) is acknowledged before the first command', async () => {
      const sandbox = await spawnTestSandbox(driver, { hostname: 'web-12' })
      expect(sandbox.timings.ready).toBeGreaterThan(0)
      if (driver.capabilities.isolation === 'namespaces') {
        expect(await run(sandbox, ['hostname'])).toMatchObject({ code: 0, stdout: 'web-12\n' })
      }
    })

    test('an exec id runs once, however often it is asked for', async () => {
      const sandbox = await spawnTestSandbox(driver)
      const request = { execId: 'once', argv: ['sleep', '30'] }
      const first = await sandbox.exec(request)
      const second = await sandbox.exec({ ...request, argv: ['echo', 'another'] })
      expect(first).toMatchObject({ execId: 'once', wasStarted: false })
      expect(second).toMatchObject({ execId: 'once', wasStarted: true, pid: first.pid })
      await sandbox.signal('once', 'SIGTERM')
      expect((await collect(sandbox.attach('once'))).at(-1)).toMatchObject({
        kind: 'exited',
        signal: 'SIGTERM',
      })
      expect(await sandbox.findExec('once')).toMatchObject({ exit: { code: null, signal: 'SIGTERM' } })
      expect(await sandbox.findExec('never')).toBeUndefined()
      await expect(collect(sandbox.attach('never'))).rejects.toMatchObject({ code: 'exec_unknown' })
      await expect(sandbox.exec({ execId: 'bad id', argv: ['true'] })).rejects.toMatchObject({
        code: 'request_invalid',
      })
      await expect(sandbox.exec({ execId: 'empty', argv: [] })).rejects.toMatchObject({
        code: 'request_invalid',
      })
      await expect(
        sandbox.exec({ execId: 'cwd', argv: ['true'], cwd: '/workspace/none' }),
      ).rejects.toMatchObject({
        code: 'not_found',
      })
    })

    test('standard input is empty, given, or written piece by piece', async () => {
      const sandbox = await spawnTestSandbox(driver)
      expect(await run(sandbox, ['cat'])).toMatchObject({ code: 0, stdout: '' })
      expect(await run(sandbox, ['cat'], { stdin: 'all at once' })).toMatchObject({ stdout: 'all at once' })
      await sandbox.exec({ execId: 'pieces', argv: ['cat'], stdin: 'open' })
      await sandbox.writeStdin('pieces', 'piece by ')
      await sandbox.writeStdin('pieces', Buffer.from('piece'))
      await sandbox.closeStdin('pieces')
      expect(textOf(await collect(sandbox.attach('pieces')), 'stdout')).toBe('piece by piece')
    })

    test('output is read from any offset, by any reader, also after the end', async () => {
      const sandbox = await spawnTestSandbox(driver)
      await sandbox.exec({ execId: 'read', argv: ['echo', '0123456789'] })
      const all = await collect(sandbox.attach('read'))
      expect(all.at(0)).toMatchObject({ kind: 'started' })
      expect(all.at(-1)).toEqual({ kind: 'exited', code: 0, signal: null })
      const rest = await collect(sandbox.attach('read', { stdoutOffset: 4 }))
      expect(textOf(rest, 'stdout')).toBe('456789\n')
      expect(rest.find(({ kind }) => kind === 'stdout')).toMatchObject({ offset: 4 })
      expect(textOf(await collect(sandbox.attach('read', { stdoutOffset: 11 })), 'stdout')).toBe('')
      expect(await sandbox.findExec('read')).toMatchObject({ stdoutEnd: 11, stderrEnd: 0 })
    })

    test('a reader that leaves or is aborted leaves the program alone', async () => {
      const sandbox = await spawnTestSandbox(driver)
      await sandbox.exec({ execId: 'left', argv: ['sleep', '30'] })
      for await (const event of sandbox.attach('left')) if (event.kind === 'started') break
      const aborted = await collect(sandbox.attach('left', { signal: AbortSignal.timeout(50) }))
      expect(aborted.map(({ kind }) => kind)).toEqual(['started'])
      expect((await sandbox.findExec('left'))?.exit).toBeUndefined()
    })

    test('a program that outlives its time is ended and says so', async () => {
      const sandbox = await spawnTestSandbox(driver)
      const result = await run(sandbox, ['sleep', '30'], { timeoutMs: 100 })
      expect(result).toMatchObject({ code: null, signal: 'SIGTERM', limit: 'time' })
    })

    test('files go in and out; absent, other and too large ones have their codes', async () => {
      const sandbox = await spawnTestSandbox(driver)
      await sandbox.putFile('/workspace/deep/er/file name ünïcode', 'one')
      await sandbox.putFile('/workspace/deep/er/file name ünïcode', 'two')
      const read = (path: string, bytesMax = 100) => sandbox.getFile(path, { bytesMax })
      expect((await read('/workspace/deep/er/file name ünïcode')).toString()).toBe('two')
      const large = Buffer.alloc(3_000_001, 'ab')
      await sandbox.putFile('/workspace/large', large)
      expect((await read('/workspace/large', 4_000_000)).equals(large)).toBe(true)
      await expect(read('/workspace/large', 3_000_000)).rejects.toMatchObject({ code: 'too_large' })
      await expect(read('/workspace/none')).rejects.toMatchObject({ code: 'not_found' })
      await expect(read('/workspace/deep')).rejects.toMatchObject({ code: 'not_a_file' })
      await expect(sandbox.putFile('/workspace/deep', 'x')).rejects.toMatchObject({ code: 'path_refused' })
    })

    test('a tree survives the way in and out', async () => {
      const sandbox = await spawnTestSandbox(driver)
      const long = `${'d'.repeat(90)}/${'f'.repeat(120)}`
      await sandbox.put(
        '/workspace/tree',
        tarOf([
          [{ name: 'bin/', type: 'directory' }],
          [{ name: 'bin/run', mode: 0o755 }, '#!/bin/sh\n'],
          [{ name: 'link', type: 'symlink', linkname: 'bin/run' }],
          [{ name: long }, 'long'],
          [{ name: 'empty' }, ''],
        ]),
      )
      const entries = await untar(sandbox.get('/workspace/tree'))
      expect(entries.get('bin/run')).toEqual({ type: 'file', mode: 0o755, text: '#!/bin/sh\n', target: '' })
      expect(entries.get('link')).toMatchObject({ type: 'symlink', target: 'bin/run' })
      expect(entries.get(long)).toMatchObject({ type: 'file', text: 'long' })
      expect(entries.get('empty')).toMatchObject({ type: 'file', text: '' })
      await expect(untar(sandbox.get('/workspace/none'))).rejects.toMatchObject({ code: 'not_found' })
    })

    const escapes: readonly (readonly [string, readonly [Partial<Header>, string?][]])[] = [
      ['a parent directory', [[{ name: '../escaped' }, 'x']]],
      ['a parent in the middle', [[{ name: 'a/../../escaped' }, 'x']]],
      ['an absolute path', [[{ name: '/tmp/escaped' }, 'x']]],
      ['an absolute link', [[{ name: 'link', type: 'symlink', linkname: '/etc' }]]],
      ['a link that leads out', [[{ name: 'a/link', type: 'symlink', linkname: '../../tmp' }]]],
      [
        'a file through a link',
        [
          [{ name: 'inner/', type: 'directory' }],
          [{ name: 'link', type: 'symlink', linkname: 'inner' }],
          [{ name: 'link/file' }, 'x'],
        ],
      ],
      ['a hard link', [[{ name: 'link', type: 'link', linkname: '/etc/passwd' }]]],
      ['a device', [[{ name: 'device', type: 'character-device', devmajor: 1, devminor: 3 }]]],
      ['a pipe', [[{ name: 'pipe', type: 'fifo' }]]],
    ]
    test.each(escapes)('U14: %s in a tar stream is refused and nothing escapes', async (_, entries) => {
      const sandbox = await spawnTestSandbox(driver)
      await expect(sandbox.put('/workspace/in', tarOf(entries))).rejects.toMatchObject({
        code: 'path_refused',
      })
      for (const path of ['/workspace/escaped', '/escaped', '/tmp/escaped', '/workspace/in/inner/file']) {
        await expect(sandbox.getFile(path, { bytesMax: 10 })).rejects.toMatchObject({ code: 'not_found' })
      }
      expect(await run(sandbox, ['echo', 'still there'])).toMatchObject({ stdout: 'still there\n' })
    })

    test('a tar stream that is cut off or no tar at all is refused', async () => {
      const sandbox = await spawnTestSandbox(driver)
      const whole = await bytesOf(tarOf([[{ name: 'file' }, 'x'.repeat(5000)]]))
      const put = (bytes: Buffer) => sandbox.put('/workspace/in', toStream(bytes))
      await expect(put(whole.subarray(0, 2000))).rejects.toMatchObject({ code: 'tar_invalid' })
      await expect(put(Buffer.alloc(2048, 7))).rejects.toMatchObject({ code: 'tar_invalid' })
    })

    test('usage tells progress: the marker changes when a file does', async () => {
      const sandbox = await spawnTestSandbox(driver)
      const before = await sandbox.usage()
      expect(before.deadmanLeftMs).toBeGreaterThan(1000)
      await sandbox.putFile('/workspace/file', 'x')
      const after = await sandbox.usage()
      expect(after.fileMarker).not.toBe(before.fileMarker)
      expect((await sandbox.usage()).fileMarker).toBe(after.fileMarker)
    })

    test('letting go leaves it running; another coordinator adopts it and reads on at the offset', async () => {
      const sandbox = await spawnTestSandbox(driver)
      await sandbox.exec({ execId: 'kept', argv: ['cat'], stdin: 'open' })
      await sandbox.writeStdin('kept', 'before ')
      await sandbox[Symbol.asyncDispose]()
      await expect(sandbox.usage()).rejects.toMatchObject({ code: 'sandbox_lost' })
      const next = await subject.createDriver(stateDir)
      const adopted = (await next.adopt(sandbox.id, AbortSignal.timeout(TIMEOUT_MS))) as Sandbox
      expect(adopted.id).toBe(sandbox.id)
      await adopted.writeStdin('kept', 'after')
      await adopted.closeStdin('kept')
      const events = await collect(adopted.attach('kept', { stdoutOffset: 'before '.length }))
      expect(textOf(events, 'stdout')).toBe('after')
      expect(events.at(-1)).toMatchObject({ kind: 'exited', code: 0 })
      await adopted.stop({ graceMs: 0 })
    })

    test('one coordinator controls at a time: the newer connection wins', async () => {
      const first = await spawnTestSandbox(driver)
      const second = (await driver.adopt(first.id, AbortSignal.timeout(TIMEOUT_MS))) as Sandbox
      await first.disconnected
      expect(await run(second, ['echo', 'mine'])).toMatchObject({ stdout: 'mine\n' })
      await expect(first.usage()).rejects.toMatchObject({ code: 'sandbox_lost' })
    })

    test('P3: past the dead-man deadline everything inside is dead, and a reader hears it', async () => {
      const sandbox = await spawnTestSandbox(driver, { deadmanMs: 1500 })
      await sandbox.exec({ execId: 'orphan', argv: ['sleep', '60'] })
      const events = await collect(sandbox.attach('orphan'))
      expect(['lost', 'exited']).toContain(events.at(-1)?.kind)
      await sandbox.disconnected
      await expect.poll(() => processesOf(sandbox.id)).toEqual([])
      expect(await driver.adopt(sandbox.id, AbortSignal.timeout(TIMEOUT_MS))).toBeUndefined()
    })

    test('a renewed dead-man deadline holds', async () => {
      const sandbox = await spawnTestSandbox(driver, { deadmanMs: 1500 })
      await sandbox.renewDeadman(60_000)
      expect((await sandbox.usage()).deadmanLeftMs).toBeGreaterThan(50_000)
    })

    test('P3: no process of a run lives after it', async () => {
      const sandbox = await spawnTestSandbox(driver)
      await sandbox.exec({ execId: 'long', argv: ['sleep', '60'] })
      if (isReal) await run(sandbox, ['sh', '-c', 'setsid sleep 61 >/dev/null 2>&1 &'])
      if (isReal) expect((await processesOf(sandbox.id)).length).toBeGreaterThan(0)
      await Promise.all([sandbox.stop({ graceMs: 50 }), sandbox.stop({ graceMs: 0 })])
      await sandbox.stop({ graceMs: 0 })
      expect(await processesOf(sandbox.id)).toEqual([])
      expect(await findPidsByMarker(`SWARM_SANDBOX_ID=${sandbox.id}\0`, 'environ')).toEqual([])
      expect((await driver.list()).map(({ sandboxId }) => sandboxId)).not.toContain(sandbox.id)
      expect(await driver.adopt(sandbox.id, AbortSignal.timeout(TIMEOUT_MS))).toBeUndefined()
    })

    test('gc removes what is not kept and nothing else, twice', async () => {
      const kept = await spawnTestSandbox(driver, { labels: { run: 'run_kept' } })
      const dropped = await spawnTestSandbox(driver)
      const report = await driver.gc(new Set([kept.id]))
      expect(report.removed).toEqual([dropped.id])
      expect(report.killedProcessCount).toBeGreaterThan(0)
      expect(await driver.gc(new Set([kept.id]))).toEqual({
        removed: [],
        killedProcessCount: 0,
        problems: [],
      })
      expect(await run(kept, ['echo', 'kept'])).toMatchObject({ stdout: 'kept\n' })
      expect(await driver.list()).toMatchObject([
        { sandboxId: kept.id, isAlive: true, driver: driver.name, labels: { run: 'run_kept' } },
      ])
    })

    test('a sandbox id is used once', async () => {
      const sandbox = await spawnTestSandbox(driver)
      const again = spawnTestSandbox(driver, { sandboxId: sandbox.id })
      await expect(again).rejects.toMatchObject({ code: 'already_exists' })
      expect(await run(sandbox, ['echo', 'unharmed'])).toMatchObject({ stdout: 'unharmed\n' })
    })

    test('an aborted spawn throws the reason and leaves nothing', async () => {
      const request = await toTestSpawnRequest(driver)
      const reason = new Error('changed my mind')
      await expect(driver.spawn(request, AbortSignal.abort(reason))).rejects.toBe(reason)
      expect(await driver.list()).toEqual([])
      expect(await processesOf(request.sandboxId)).toEqual([])
    })

    if (!isReal) return

    test('a command that ends takes nothing of a neighbour with it, not even what has the same id', async () => {
      const [sandbox, neighbour] = [await spawnTestSandbox(driver), await spawnTestSandbox(driver)]
      const limits = { outputBytesMax: 1000 }
      const living = runInSandbox(
        neighbour,
        { execId: 'main', argv: ['sleep', '1.5'], timeoutMs: TIMEOUT_MS },
        limits,
      )
      await expect.poll(async () => (await neighbour.findExec('main'))?.pid).toBeGreaterThan(0)
      await runInSandbox(sandbox, { execId: 'main', argv: ['true'], timeoutMs: TIMEOUT_MS }, limits)
      await sandbox.stop({ graceMs: 0 })
      expect(await living).toMatchObject({ kind: 'exited', code: 0, signal: null })
    })

    test('P3: what a command leaves in the background ends with it', async () => {
      const sandbox = await spawnTestSandbox(driver)
      const script = 'sleep 300 & setsid sleep 301 >/dev/null 2>&1 & echo started'
      expect(await run(sandbox, ['sh', '-c', script])).toMatchObject({ code: 0, stdout: 'started\n' })
      expect((await sandbox.usage()).processCount).toBe(0)
    })

    test('a program that ignores SIGTERM is killed after its grace', async () => {
      const sandbox = await spawnTestSandbox(driver)
      const argv = ['sh', '-c', 'trap "" TERM; while :; do sleep 0.1; done']
      const result = await run(sandbox, argv, { timeoutMs: 200, graceMs: 200 })
      expect(result).toMatchObject({ code: null, signal: 'SIGKILL', limit: 'time' })
      expect((await sandbox.usage()).processCount).toBe(0)
    })

    test('a reader that keeps up loses nothing of 60 MB; the last bytes stay for a later one', async () => {
      const sandbox = await spawnTestSandbox(driver)
      const bytes = 60_000_000
      await sandbox.exec({ execId: 'much', argv: ['sh', '-c', `yes 0123456789 | head -c ${bytes}`] })
      let expected = 0
      for await (const event of sandbox.attach('much')) {
        expect(event.kind).not.toBe('gap')
        if (event.kind !== 'stdout') continue
        expect(event.offset).toBe(expected)
        expected += event.data.length
      }
      expect(expected).toBe(bytes)
      const late = await collect(sandbox.attach('much'))
      const gap = late.find(({ kind }) => kind === 'gap')
      expect(gap).toMatchObject({ stream: 'stdout', from: 0 })
      expect(textOf(late, 'stdout').length).toBe(bytes - (gap as { to: number }).to)
      expect(textOf(late, 'stdout').length).toBeGreaterThanOrEqual(4_000_000)
    })

    test('a program that prints 1 GB to nobody neither blocks nor fills memory', async () => {
      const sandbox = await spawnTestSandbox(driver)
      const argv = ['sh', '-c', 'head -c 1000000000 /dev/zero; echo done >&2']
      await sandbox.exec({ execId: 'flood', argv, timeoutMs: 60_000 })
      await expect
        .poll(async () => (await sandbox.findExec('flood'))?.exit, { timeout: 50_000, interval: 100 })
        .toEqual({
          code: 0,
          signal: null,
        })
      expect(await sandbox.findExec('flood')).toMatchObject({ stdoutEnd: 1_000_000_000 })
      expect(textOf(await collect(sandbox.attach('flood', { stdoutOffset: 1_000_000_000 })), 'stderr')).toBe(
        'done\n',
      )
    })

    test('the way out is the gateway socket, reached over loopback', async () => {
      const directory = await mkdtemp(join(tmpdir(), 'swarm-gateway-'))
      const gateway = await serveGreeting(join(directory, 'gateway.sock'))
      const sandbox = await spawnTestSandbox(driver, {
        gatewayDirectory: directory,
        env: { SWARM_GATEWAY_URL: 'http://127.0.0.1:3128' },
      })
      const script = 'fetch(process.env.SWARM_GATEWAY_URL).then((r) => r.text()).then(console.log)'
      expect(await run(sandbox, ['node', '-e', script])).toMatchObject({
        code: 0,
        stdout: 'hello from the gateway\n',
      })
      await sandbox.stop({ graceMs: 0 })
      gateway.close()
      await rm(directory, { recursive: true })
    })
  })
}

async function serveGreeting(path: string): Promise<Server> {
  const body = 'hello from the gateway'
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`)
    })
  })
  server.listen(path)
  await once(server, 'listening')
  return server
}

export async function collect(events: AsyncIterable<ExecEvent>): Promise<ExecEvent[]> {
  const all: ExecEvent[] = []
  for await (const event of events) all.push(event)
  return all
}

export function textOf(events: readonly ExecEvent[], stream: 'stdout' | 'stderr'): string {
  return events.map((event) => (event.kind === stream ? event.data.toString('latin1') : '')).join('')
}

function tarOf(entries: readonly (readonly [Partial<Header>, string?])[]): Readable {
  const tar = pack()
  for (const [header, text] of entries) tar.entry(header as Header, text ?? '')
  tar.finalize()
  return tar as unknown as Readable
}

async function bytesOf(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function toStream(bytes: Buffer): Readable {
  return Readable.from([bytes])
}

type Unpacked = { type: string; mode: number; text: string; target: string }

async function untar(tar: Readable): Promise<Map<string, Unpacked>> {
  const entries = extract()
  tar.on('error', (error) => entries.destroy(error))
  tar.pipe(entries as unknown as NodeJS.WritableStream)
  const found = new Map<string, Unpacked>()
  for await (const entry of entries) {
    const { name, type, mode, linkname } = entry.header
    const chunks: Buffer[] = []
    for await (const chunk of entry) chunks.push(chunk as Buffer)
    found.set(name.replace(/\/$/, ''), {
      type: type ?? 'file',
      mode: mode ?? 0,
      text: Buffer.concat(chunks).toString(),
      target: linkname ?? '',
    })
  }
  return found
}
