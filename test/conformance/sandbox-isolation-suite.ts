import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { ExecRequest, Sandbox, SandboxDriver } from '../../src/sandbox/contract.ts'
import { runInSandbox } from '../../src/sandbox/run-in-sandbox.ts'
import { spawnTestSandbox, TEST_LIMITS } from '../support/sandbox.ts'
import type { SuiteSubject } from './sandbox-suite.ts'

const TIMEOUT_MS = 30_000

/** What a hostile program inside tries, and what it gets. */
export function describeBubblewrap(subject: SuiteSubject): void {
  describe(`isolation of ${subject.name}`, () => {
    let stateDir: string
    let driver: SandboxDriver
    let execCount = 0

    beforeAll(async () => {
      stateDir = await mkdtemp(join(tmpdir(), 'swarm-isolation-'))
      driver = await subject.createDriver(stateDir)
    })
    afterEach(async () => {
      expect((await driver.gc(new Set())).problems).toEqual([])
    })
    afterAll(async () => {
      await rm(stateDir, { recursive: true, force: true })
    })

    const run = async (sandbox: Sandbox, argv: readonly string[], more: Partial<ExecRequest> = {}) => {
      const request = { execId: `try-${++execCount}`, argv, timeoutMs: TIMEOUT_MS, ...more }
      const result = await runInSandbox(sandbox, request, { outputBytesMax: 1_000_000 })
      if (result.kind === 'lost') throw new Error(`lost: ${result.reason}`)
      return { ...result, stdout: result.stdout.toString(), stderr: result.stderr.toString() }
    }
    const sh = (sandbox: Sandbox, script: string, more: Partial<ExecRequest> = {}) =>
      run(sandbox, ['sh', '-c', script], more)

    test('the capability says which limits hold', () => {
      const isRoot = process.getuid?.() === 0
      expect(driver.capabilities).toMatchObject({ isolation: 'namespaces', adopt: true })
      if (!isRoot) expect(driver.capabilities.limits).toBe('soft')
    })

    test('host files, host processes and the network are not there', async () => {
      const sandbox = await spawnTestSandbox(driver)
      const secret = join(stateDir, 'planted-secret')
      await writeFile(secret, 'planted')
      const seen = await sh(
        sandbox,
        `cat ${secret} ${stateDir}/sandboxes/*/record.json /etc/shadow /etc/swarm/config.yaml /root/.ssh/id_rsa; ls /home /root /work /var /sys /run; kill -0 ${process.pid}; ls /proc | grep -x ${process.pid}`,
      )
      expect(seen.stdout.split('\n').filter((line) => line !== '' && line !== 'agent')).toEqual(['/home:'])
      const devices = await sh(sandbox, 'tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d " "')
      expect(devices.stdout).toBe('lo\n')
      const network = `const net = require('net'); for (const host of ['1.1.1.1', '169.254.169.254', '10.0.0.1']) net.connect(80, host).on('error', (e) => console.log(e.code)).on('connect', () => console.log('CONNECTED'))`
      expect((await run(sandbox, ['node', '-e', network])).stdout).toBe('ENETUNREACH\n'.repeat(3))
      expect(JSON.stringify(await sh(sandbox, 'cat /proc/1/cmdline | tr "\\0" " "'))).not.toContain(stateDir)
    })

    test('a workload has no rights, cannot gain any, and the system is read-only', async () => {
      const sandbox = await spawnTestSandbox(driver)
      const status = (await sh(sandbox, 'cat /proc/self/status')).stdout
      for (const set of ['CapPrm', 'CapEff', 'CapAmb'])
        expect(status).toMatch(new RegExp(`${set}:\\s0{16}\n`))
      expect(status).toMatch(/NoNewPrivs:\s1\n/)
      expect((await run(sandbox, ['id', '-u'])).stdout).not.toBe('0\n')
      const script =
        'for d in / /usr /etc /dev /usr/bin /swarm/guest /swarm/bin /proc/sys/kernel; do touch $d/x 2>/dev/null && echo $d; done; mount -t tmpfs none /mnt 2>/dev/null && echo mounted; chroot / true 2>/dev/null && echo chrooted; echo end'
      expect((await sh(sandbox, script)).stdout).toBe('end\n')
    })

    test('an agent that speaks the guest protocol to its own supervisor finds no door', async () => {
      const sandbox = await spawnTestSandbox(driver)
      const { secret } = JSON.parse(
        await readFile(join(stateDir, 'sandboxes', sandbox.id, 'record.json'), 'utf8'),
      )
      await sandbox.putFile('/workspace/look.mjs', LOOK_FOR_A_DOOR)
      const looked = await run(sandbox, ['node', '/workspace/look.mjs'])
      expect(looked).toMatchObject({ code: 0, stderr: '' })
      expect(JSON.parse(looked.stdout)).toEqual({ sockets: [], readable: [], connected: [] })
      const everywhere = await sh(
        sandbox,
        `env; cat /proc/*/environ /proc/*/cmdline /swarm/guest/* 2>/dev/null; find / -xdev -type s 2>/dev/null`,
      )
      expect(everywhere.stdout).not.toContain(secret)
      expect(everywhere.stdout).not.toContain('guest.sock')
    })

    test('an agent that attacks its supervisor harms only its own sandbox', async () => {
      const neighbour = await spawnTestSandbox(driver)
      const sandbox = await spawnTestSandbox(driver)
      const attack = await runInSandbox(
        sandbox,
        {
          execId: 'attack',
          argv: ['sh', '-c', 'sleep 0.2; kill -9 2; sleep 0.2; echo alive'],
          timeoutMs: 5000,
        },
        { outputBytesMax: 1000 },
      )
      if (process.getuid?.() === 0) expect(attack).toMatchObject({ kind: 'exited', code: 0 })
      else expect(attack).toMatchObject({ kind: 'lost' })
      expect((await run(neighbour, ['echo', 'unharmed'])).stdout).toBe('unharmed\n')
    })

    test('a full disk stops the program, is named, and leaves the sandbox usable', async () => {
      const sandbox = await spawnTestSandbox(driver)
      const filled = await sh(sandbox, 'head -c 200000000 /dev/zero > /workspace/full')
      expect(filled).toMatchObject({ limit: 'disk' })
      expect(filled.code).not.toBe(0)
      expect((await sandbox.usage()).diskBytes).toBeLessThanOrEqual(TEST_LIMITS.diskMib * 2 ** 20)
      await expect(sandbox.putFile('/workspace/more', Buffer.alloc(100_000))).rejects.toMatchObject({
        code: 'disk_full',
      })
      expect(await sh(sandbox, 'rm /workspace/full && echo ok > /workspace/small')).toMatchObject({ code: 0 })
      for (const path of ['/tmp', '/home/agent', '/swarm', '/dev/shm']) {
        expect((await sh(sandbox, `head -c 200000000 /dev/zero > ${path}/full`)).code).not.toBe(0)
        await sh(sandbox, `rm ${path}/full`)
      }
    })

    test('a program that takes too much memory is killed, and the limit is named', async () => {
      const sandbox = await spawnTestSandbox(driver)
      const eat = 'const a = []; for (;;) a.push(Buffer.alloc(8 << 20, 1))'
      const eaten = await run(sandbox, ['node', '-e', eat])
      expect(eaten).toMatchObject({ limit: 'memory' })
      expect(eaten.code).not.toBe(0)
      expect(await run(sandbox, ['echo', 'still there'])).toMatchObject({ code: 0 })
    })

    test('a fork bomb is bounded and ends with its command', async () => {
      const sandbox = await spawnTestSandbox(driver)
      const bomb = sh(sandbox, 'bomb() { bomb | bomb & }; bomb; sleep 3; exit 1', {
        timeoutMs: 6000,
        graceMs: 100,
      })
      let most = 0
      for (let i = 0; i < 15; i++) {
        most = Math.max(most, (await sandbox.usage()).processCount)
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
      expect(most).toBeLessThanOrEqual(TEST_LIMITS.processCountMax + 24)
      expect((await bomb).code).not.toBe(0)
      await expect.poll(async () => (await sandbox.usage()).processCount).toBe(0)
      expect(await run(sandbox, ['echo', 'still there'])).toMatchObject({ code: 0 })
    })
  })
}

/** Walks everything a workload can reach for a socket, a descriptor or the memory of another process. */
const LOOK_FOR_A_DOOR = `
import { readdirSync, readFileSync, readlinkSync, openSync } from 'node:fs'
import { connect } from 'node:net'
const found = { sockets: [], readable: [], connected: [] }
const lines = readFileSync('/proc/net/unix', 'utf8').trim().split('\\n').slice(1)
for (const line of lines) { const path = line.trim().split(/ +/)[7]; if (path) found.sockets.push(path) }
for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))) {
  if (Number(pid) === process.pid || Number(pid) === 1) continue
  for (const file of ['environ', 'mem', 'maps']) {
    try { openSync('/proc/' + pid + '/' + file); found.readable.push(pid + '/' + file) } catch {}
  }
  for (let fd = 0; fd < 64; fd++) {
    try { readlinkSync('/proc/' + pid + '/fd/' + fd); found.readable.push(pid + '/fd/' + fd) } catch {}
  }
}
const tries = ['/swarm/guest.sock', '/swarm/control/guest.sock', '\\0swarm', '/proc/2/fd/3', '/proc/self/fd/3']
await Promise.all(tries.map((path) => new Promise((resolve) => {
  connect({ path }).on('connect', () => { found.connected.push(path); resolve() }).on('error', resolve)
})))
console.log(JSON.stringify(found))
`
