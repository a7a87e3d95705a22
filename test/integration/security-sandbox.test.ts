/** What a hostile workload could reach beside files and network; run as whoever runs the tests. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runProcess } from '../../src/platform/process.ts'
import type { SandboxDriver } from '../../src/sandbox/contract.ts'
import { runInSandbox } from '../../src/sandbox/run-in-sandbox.ts'
import { createTestSandboxDriver, spawnTestSandbox, toTestSpawnRequest } from '../support/sandbox.ts'

let directory: string
let driver: SandboxDriver

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'swarm-security-'))
  driver = await createTestSandboxDriver('bubblewrap', directory)
})
afterAll(async () => {
  await driver.gc(new Set())
  await rm(directory, { recursive: true, force: true })
})

describe('descriptors', () => {
  for (const kind of ['bubblewrap', 'none'] as const) {
    test(`what the daemon was started with does not reach a workload (${kind})`, async () => {
      const script = fileURLToPath(new URL('../support/print-descriptors.ts', import.meta.url))
      // As a launcher leaves one: not closed on exec, at a number that node itself does not look at.
      const leave = 'exec 200</etc/passwd; exec "$0" "$@"'
      const place = join(directory, `descriptors-${kind}`)
      const listed = await runProcess({
        argv: ['bash', '--norc', '-c', leave, process.execPath, script, kind, place],
        env: { PATH: process.env.PATH ?? '' },
        timeoutMs: 30_000,
        outputBytesMax: 100_000,
      })
      expect(listed.stderr.toString()).toBe('')
      expect(listed.stdout.toString().trim().split('\n').map(Number)).toEqual([0, 1, 2, 3])
    })
  }
})

describe('system calls', () => {
  const tryInside = async (argv: readonly string[]) => {
    const sandbox = await spawnTestSandbox(driver)
    try {
      const result = await runInSandbox(
        sandbox,
        { execId: 'try', argv, timeoutMs: 10_000 },
        { outputBytesMax: 10_000 },
      )
      if (result.kind === 'lost') throw new Error(result.reason)
      return { code: result.code, stdout: result.stdout.toString() }
    } finally {
      await sandbox.stop({ graceMs: 0 })
    }
  }

  test('a workload makes no namespace of its own, so it is root of nothing', async () => {
    const flags = [
      '--user',
      '--map-root-user --mount',
      '--map-root-user --net',
      '--map-root-user --pid --fork',
    ]
    const script = flags.map((flag) => `unshare ${flag} true && echo "${flag}"`).join('; ')
    const tried = await tryInside([
      'sh',
      '-c',
      `command -v unshare; ${script}; grep Seccomp: /proc/self/status`,
    ])
    expect(tried.stdout.trim().split('\n')).toEqual([
      expect.stringMatching(/\/unshare$/),
      expect.stringMatching(/^Seccomp:\s2$/),
    ])
  })

  test("the daemon's key rings, and sockets that no network namespace holds, are out of reach", async (context) => {
    const perl = await tryInside(['sh', '-c', 'command -v perl'])
    if (perl.code !== 0) context.skip('perl is not installed here')
    const SESSION_KEYRING = -3
    const keyctl = process.arch === 'arm64' ? 219 : 250
    const keys = `print syscall(${keyctl}, 0, ${SESSION_KEYRING}, 0), " ", $! + 0`
    expect((await tryInside(['perl', '-e', keys])).stdout).toBe('-1 1')
    const sockets = 'print socket(S, $_, $_ == 38 ? 5 : 1, 0) ? "open" : $! + 0, " " for 40, 38, 2'
    expect((await tryInside(['perl', '-e', sockets])).stdout).toBe('97 97 open ')
  })
})

describe('limits', () => {
  test('memory that no process has mapped ends the workload that took it, not its supervisor', async (context) => {
    if (driver.capabilities.limits !== 'hard') context.skip('the kernel enforces no limits here')
    const sandbox = await spawnTestSandbox(driver)
    const run = async (execId: string, argv: readonly string[]) =>
      await runInSandbox(sandbox, { execId, argv, timeoutMs: 20_000 }, { outputBytesMax: 10_000 })
    const perl = await run('look', ['sh', '-c', 'command -v perl'])
    if (perl.kind !== 'exited' || perl.code !== 0) context.skip('perl is not installed here')
    const memfd = process.arch === 'arm64' ? 279 : 319
    const fill = `$f = syscall(${memfd}, my $n = "x", 0); open(F, "+>&=", $f); $b = "x" x (1 << 20); syswrite(F, $b) for 1 .. 2000; print "all"`
    expect(await run('fill', ['perl', '-e', fill])).toMatchObject({ kind: 'exited', limit: 'memory' })
    expect(await run('after', ['echo', 'still there'])).toMatchObject({ kind: 'exited', code: 0 })
    await sandbox.stop({ graceMs: 0 })
  })
})

describe('under a strict umask', () => {
  test('the workload can still look up who it is', async () => {
    const before = process.umask(0o077)
    try {
      const sandbox = await spawnTestSandbox(driver)
      const argv = ['sh', '-c', 'id -un; node -p "os.userInfo().username"; cat /etc/hostname']
      const result = await runInSandbox(
        sandbox,
        { execId: 'who', argv, timeoutMs: 10_000 },
        { outputBytesMax: 10_000 },
      )
      await sandbox.stop({ graceMs: 0 })
      expect(result.kind === 'exited' && result.stdout.toString()).toBe('agent\nagent\ntest-1\n')
    } finally {
      process.umask(before)
    }
  })
})

describe('options of bubblewrap', () => {
  test('no text of a request becomes an option', async () => {
    const hostile = [
      { hostname: 'x\0--bind' },
      { hostname: '--bind' },
      { readOnlyMounts: { '/etc': '/opt/a\0--bind\0/\0/mnt/x' } },
      { readOnlyMounts: { '/etc\0--bind': '/opt/a' } },
      { readOnlyMounts: { '/etc': '/swarm/gateway/x' } },
      { readOnlyMounts: { '/etc': '/usr/bin' } },
      { env: { 'A=B': 'c' } },
      { env: { A: 'b\0C=d' } },
    ]
    for (const overrides of hostile) {
      const request = await toTestSpawnRequest(driver, overrides)
      const refused = driver.spawn(request, AbortSignal.timeout(10_000))
      // A host name that begins with a hyphen is a value after its option, and stays one.
      if (overrides.hostname === '--bind') await (await refused).stop({ graceMs: 0 })
      else await expect(refused, JSON.stringify(overrides)).rejects.toMatchObject({ code: 'request_invalid' })
    }
  })
})
