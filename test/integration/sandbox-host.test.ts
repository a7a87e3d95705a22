import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createCgroup, findCgroupSupport, readCgroupCounters } from '../../src/platform/cgroup.ts'
import { ProcessStartError, runProcess } from '../../src/platform/process.ts'
import { connectUnixSocket, listenForChild } from '../../src/platform/unix-socket.ts'
import { createTestSandboxDriver, spawnTestSandbox } from '../support/sandbox.ts'

// Each test has its own deadline; one for the whole file would fail the last ones on a slow machine.
const { signal } = new AbortController()
let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'swarm-host-'))
})
afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

describe('probe of bubblewrap', () => {
  const probe = async (bwrapPath: string, more = {}) => {
    const driver = await createTestSandboxDriver('bubblewrap', directory, {
      bwrapPath,
      cgroups: 'off',
      ...more,
    })
    return { driver, result: await driver.probe(signal) }
  }
  const fakeBwrap = async (script: string) => {
    const path = join(directory, 'bwrap')
    await writeFile(path, `#!/bin/sh\n[ "$1" = --version ] && echo bubblewrap 0.0 && exit 0\n${script}\n`)
    await chmod(path, 0o755)
    return path
  }

  test('an absent bubblewrap is named with the line that installs it, and a spawn does not fall back', async () => {
    const { driver, result } = await probe(join(directory, 'none'))
    expect(result).toMatchObject({
      ok: false,
      fix: 'apt-get install bubblewrap',
      reason: expect.stringContaining('not installed'),
    })
    await expect(spawnTestSandbox(driver)).rejects.toMatchObject({ code: 'spawn_failed' })
    expect(await driver.list()).toEqual([])
  })

  test('namespaces that the kernel refuses are named with what to allow', async () => {
    const { result } = await probe(
      await fakeBwrap(
        'echo "bwrap: No permissions to create new namespace: Operation not permitted" >&2; exit 1',
      ),
    )
    expect(result).toMatchObject({ ok: false, reason: expect.stringContaining('Operation not permitted') })
    expect(result.ok ? '' : result.fix).toMatch(/namespaces|userns/)
  })

  test('a bubblewrap that never answers does not hold up the probe', async () => {
    const startedAt = performance.now()
    const { result } = await probe(await fakeBwrap('sleep 60'))
    expect(result).toMatchObject({ ok: false, reason: expect.stringContaining('no answer') })
    expect(performance.now() - startedAt).toBeLessThan(15_000)
  })

  test('a missing guest program is named', async () => {
    const { result } = await probe('bwrap', { guestProgramPath: join(directory, 'none.mjs') })
    expect(result).toMatchObject({ ok: false, fix: 'npm run prepare' })
  })

  test('without control groups the limits are soft, and it says so', async () => {
    const { driver, result } = await probe('bwrap')
    expect(driver.capabilities.limits).toBe('soft')
    expect(result).toMatchObject({ ok: true, warnings: [expect.stringContaining('soft')] })
  })
})

describe('control groups', () => {
  test('version 2: limits are written where the kernel looks for them', async () => {
    await writeFile(join(directory, 'cgroup.controllers'), 'cpu io memory pids\n')
    const own = join(directory, 'own')
    await writeFile(own, '0::/\n')
    const support = await findCgroupSupport('swarm-test', directory, own)
    expect(support).toEqual({ version: 2, directory: join(directory, 'swarm-test') })
    if (support === undefined) return
    await createCgroup(support, 'sbx', { memoryBytes: 1000, processCountMax: 7, cpuCount: 1.5 })
    const read = (file: string) => readFile(join(directory, 'swarm-test/sbx', file), 'utf8')
    expect(await read('memory.max')).toBe('1000')
    expect(await read('pids.max')).toBe('7')
    expect(await read('cpu.max')).toBe('150000 100000')
    expect(await readFile(join(directory, 'swarm-test/cgroup.subtree_control'), 'utf8')).toBe(
      '+memory +pids +cpu',
    )
    const group = join(directory, 'swarm-test/sbx')
    await writeFile(join(group, 'memory.events'), 'low 0\noom 3\noom_kill 2\n')
    await writeFile(join(group, 'pids.events'), 'max 5\n')
    expect(await readCgroupCounters([group])).toEqual({ oomKillCount: 2, forkRefusalCount: 5 })
  })

  test('a host without the controllers gives no hard limits', async () => {
    await writeFile(join(directory, 'cgroup.controllers'), 'hugetlb\n')
    const own = join(directory, 'own')
    await writeFile(own, '0::/\n')
    expect(await findCgroupSupport('swarm-test', directory, own)).toBeUndefined()
    expect(
      await findCgroupSupport('swarm-test', join(directory, 'none'), join(directory, 'none')),
    ).toBeUndefined()
  })
})

describe('process door', () => {
  const limits = { timeoutMs: 10_000, outputBytesMax: 1000 }

  test('arguments are not a shell; output, exit code and bounds are kept', async () => {
    const result = await runProcess({ argv: ['printf', '%s', '$(id);`id`'], ...limits })
    expect({ ...result, stdout: result.stdout.toString() }).toMatchObject({
      code: 0,
      stdout: '$(id);`id`',
      truncated: false,
    })
    const long = await runProcess({ argv: ['head', '-c', '5000', '/dev/zero'], ...limits })
    expect(long).toMatchObject({ code: 0, truncated: true })
    expect(long.stdout.length).toBe(1000)
    expect((await runProcess({ argv: ['cat'], stdin: 'given', ...limits })).stdout.toString()).toBe('given')
    await expect(runProcess({ argv: ['no-such-program'], ...limits })).rejects.toBeInstanceOf(
      ProcessStartError,
    )
    await expect(runProcess({ argv: [], ...limits })).rejects.toBeInstanceOf(ProcessStartError)
  })

  test('U18: every wait has a deadline and obeys an abort signal', async () => {
    const argv = ['sh', '-c', 'sleep 60 & sleep 60']
    expect(await runProcess({ argv, timeoutMs: 100, outputBytesMax: 10 })).toMatchObject({
      timedOut: true,
      signal: 'SIGKILL',
    })
    const reason = new Error('canceled')
    const controller = new AbortController()
    setTimeout(() => controller.abort(reason), 50)
    await expect(runProcess({ argv, ...limits, signal: controller.signal })).rejects.toBe(reason)
    await expect(connectUnixSocket(join(directory, 'none.sock'), AbortSignal.abort(reason))).rejects.toBe(
      reason,
    )
  })

  test('the environment of the daemon does not reach a program', async () => {
    process.env.PLANTED_SECRET = 'planted'
    const result = await runProcess({ argv: ['env'], ...limits })
    delete process.env.PLANTED_SECRET
    expect(result.stdout.toString()).not.toContain('planted')
  })
})

test('a socket works at a path longer than the system allows', async () => {
  const deep = join(directory, 'd'.repeat(100), 'e'.repeat(60))
  await mkdir(deep, { recursive: true })
  const path = join(deep, 'guest.sock')
  const listener = await listenForChild(path)
  const socket = await connectUnixSocket(path, signal)
  socket.destroy()
  listener.release()
})
