/** Sandboxes that are started before their ticket is there: each serves one, or nobody, and leaves nothing. */
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { SandboxId } from '../../src/domain/id.ts'
import { spawnProcess } from '../../src/platform/process.ts'
import { findPidsByMarker } from '../../src/platform/process-identity.ts'
import type { Sandbox, SandboxDriver, WarmRequest, WarmSandbox } from '../../src/sandbox/contract.ts'
import type { ProcessDriverOptions } from '../../src/sandbox/process-driver.ts'
import { runInSandbox } from '../../src/sandbox/run-in-sandbox.ts'
import { createTestSandboxDriver, ensureGuestProgram, toTestSpawnRequest } from '../support/sandbox.ts'
import { waitFor } from '../support/wait-for.ts'

const TIMEOUT_MS = 20_000
const BEGIN_STEPS = ['prepare', 'socket', 'process', 'update'] as const

describe.each(['bubblewrap', 'none'] as const)('sandboxes started ahead, %s', (kind) => {
  let stateDir: string
  beforeEach(async () => {
    stateDir = await mkdtemp(join(tmpdir(), 'swarm-warm-'))
    await ensureGuestProgram()
  })
  afterEach(async () => {
    await (await createTestSandboxDriver(kind, stateDir)).gc(new Set())
    await rm(stateDir, { recursive: true, force: true })
  })

  const createDriver = async (options: Partial<ProcessDriverOptions> = {}) => {
    const driver = await createTestSandboxDriver(kind, stateDir, options)
    const warm = async (request: WarmRequest): Promise<WarmSandbox> => {
      if (driver.warm === undefined) throw new Error('this driver starts nothing ahead')
      return await driver.warm(request, AbortSignal.timeout(TIMEOUT_MS))
    }
    return { driver, warm }
  }
  const spawn = async (driver: SandboxDriver, request: Awaited<ReturnType<typeof toTestSpawnRequest>>) =>
    await driver.spawn(request, AbortSignal.timeout(TIMEOUT_MS))
  const run = async (sandbox: Sandbox, ...argv: string[]) => {
    const request = { execId: argv.join('-').replace(/\W/g, '_'), argv, timeoutMs: TIMEOUT_MS }
    const result = await runInSandbox(sandbox, request, { outputBytesMax: 10_000 })
    return result.kind === 'lost' ? result : { code: result.code, stdout: result.stdout.toString() }
  }
  const findTraces = async (id: SandboxId) => [
    ...(await readdir(join(stateDir, 'sandboxes'))),
    ...(await findPidsByMarker(`SWARM_SANDBOX_ID\0${id}\0`, 'cmdline')),
  ]

  test('the spawn of its id takes it over, with the environment, labels and deadline of that spawn', async () => {
    const { driver, warm } = await createDriver()
    const { labels: _, ...request } = await toTestSpawnRequest(driver)
    const waiting = await warm(request)
    const [pid] = await findPidsByMarker(`SWARM_SANDBOX_ID\0${request.sandboxId}\0`, 'cmdline')
    expect(waiting.isWaiting()).toBe(true)

    const labels = { ticket: 'WEB-1' }
    const sandbox = await spawn(driver, { ...request, env: { FOR: 'WEB-1' }, labels, deadmanMs: 30_000 })
    expect(waiting.isWaiting()).toBe(false)
    expect(await findPidsByMarker(`SWARM_SANDBOX_ID\0${request.sandboxId}\0`, 'cmdline')).toContain(pid)
    expect(await run(sandbox, 'printenv', 'FOR')).toEqual({ code: 0, stdout: 'WEB-1\n' })
    expect((await sandbox.usage()).deadmanLeftMs).toBeLessThanOrEqual(30_000)
    expect(await driver.list()).toMatchObject([{ sandboxId: request.sandboxId, isAlive: true, labels }])
    await waiting.discard()
    expect(await run(sandbox, 'true')).toMatchObject({ code: 0 })
    await sandbox.stop({ graceMs: 0 })
    expect(await findTraces(request.sandboxId)).toEqual([])
  })

  test('what it did while it waited leaves nothing: it looks like one that was just started', async () => {
    const { driver, warm } = await createDriver()
    const look = async (request: Awaited<ReturnType<typeof toTestSpawnRequest>>) => {
      const sandbox = await spawn(driver, request)
      const files = await run(sandbox, 'find', '/swarm', '/workspace', '/tmp', '/home/agent', '-xdev')
      const rehearsed = await sandbox.findExec('rehearsal')
      const { processCount } = await sandbox.usage()
      await sandbox.stop({ graceMs: 0 })
      return { files, rehearsed, processCount }
    }
    const request = await toTestSpawnRequest(driver)
    await warm(request)
    // Time for what it does of its own accord; when that takes longer, the spawn waits for it.
    await delay(500)
    const afterWaiting = await look(request)
    expect(afterWaiting).toMatchObject({ files: { code: 0 }, rehearsed: undefined, processCount: 0 })
    if (kind === 'bubblewrap') expect(afterWaiting).toEqual(await look(await toTestSpawnRequest(driver)))
  })

  test('it is in no list, gc leaves it alone, and its record tells of no ticket', async () => {
    const { driver, warm } = await createDriver()
    const request = await toTestSpawnRequest(driver, { env: { SECRET: 'x' }, labels: { ticket: 'WEB-2' } })
    const waiting = await warm(request)
    expect(await driver.list()).toEqual([])
    expect(await driver.gc(new Set())).toEqual({ removed: [], killedProcessCount: 0, problems: [] })
    expect(waiting.isWaiting()).toBe(true)
    const record = await readFile(join(stateDir, 'sandboxes', request.sandboxId, 'record.json'), 'utf8')
    expect(JSON.parse(record)).toMatchObject({ labels: {} })
    expect(await driver.adopt(request.sandboxId, AbortSignal.timeout(TIMEOUT_MS))).toBeUndefined()
    await waiting.discard()
    await waiting.discard()
    expect(await findTraces(request.sandboxId)).toEqual([])
  })

  test('a spawn that wants anything else starts anew', async () => {
    const { driver, warm } = await createDriver()
    const request = await toTestSpawnRequest(driver)
    const waiting = await warm({ ...request, limits: { ...request.limits, diskMib: 64 }, hostname: 'other' })
    const [before] = await findPidsByMarker(`SWARM_SANDBOX_ID\0${request.sandboxId}\0`, 'cmdline')
    const sandbox = await spawn(driver, request)
    expect(waiting.isWaiting()).toBe(false)
    const pids = await findPidsByMarker(`SWARM_SANDBOX_ID\0${request.sandboxId}\0`, 'cmdline')
    expect(pids).not.toContain(before)
    expect(await run(sandbox, 'true')).toMatchObject({ code: 0 })
    if (kind === 'bubblewrap') {
      expect(await run(sandbox, 'hostname')).toMatchObject({ stdout: `${request.hostname}\n` })
    }
    await sandbox.stop({ graceMs: 0 })
  })

  test('a spawn does not rely on one that has died', async () => {
    const { driver, warm } = await createDriver()
    const request = await toTestSpawnRequest(driver)
    const waiting = await warm(request)
    for (const pid of await findPidsByMarker(`SWARM_SANDBOX_ID\0${request.sandboxId}\0`, 'cmdline')) {
      process.kill(pid, 'SIGKILL')
    }
    const sandbox = await spawn(driver, request)
    expect(waiting.isWaiting()).toBe(false)
    expect(await run(sandbox, 'true')).toMatchObject({ code: 0 })
    await sandbox.stop({ graceMs: 0 })
    expect(await findTraces(request.sandboxId)).toEqual([])
  })

  test('U11: a sandbox serves one ticket: a second spawn of the same id is refused', async () => {
    const { driver, warm } = await createDriver()
    const request = await toTestSpawnRequest(driver)
    await warm(request)
    const [first, second] = await Promise.allSettled([spawn(driver, request), spawn(driver, request)])
    expect([first.status, second.status]).toEqual(['fulfilled', 'rejected'])
    await expect(spawn(driver, request)).rejects.toMatchObject({ code: 'already_exists' })
    await expect(warm(request)).rejects.toMatchObject({ code: 'already_exists' })
    if (first.status === 'fulfilled') await first.value.stop({ graceMs: 0 })
  })

  test.each(BEGIN_STEPS)('P7: failure at "%s" of a start ahead is cleaned', async (failing) => {
    const { driver, warm } = await createDriver({
      onSpawnStep: (step) => {
        if (step === failing) throw new Error(`injected at ${step}`)
      },
    })
    const request = await toTestSpawnRequest(driver)
    await expect(warm(request)).rejects.toThrow(`injected at ${failing}`)
    expect(await findTraces(request.sandboxId)).toEqual([])
  })

  test('one that cannot be woken is replaced, and nothing is left of it', async () => {
    let fails = true
    const { driver, warm } = await createDriver({
      onSpawnStep: (step) => {
        if (step === 'identity' && fails) {
          fails = false
          throw new Error('injected')
        }
      },
    })
    const request = await toTestSpawnRequest(driver)
    await warm(request)
    const sandbox = await spawn(driver, request)
    expect(fails).toBe(false)
    await sandbox.stop({ graceMs: 0 })
    expect(await findTraces(request.sandboxId)).toEqual([])
  })

  test('P3: when its coordinator is killed it ends by itself; gc removes the rest', async () => {
    const child = spawnProcess({
      argv: [
        process.execPath,
        fileURLToPath(new URL('../support/warm-coordinator.ts', import.meta.url)),
        kind,
        stateDir,
      ],
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = child.stdout === null ? [] : await once(child.stdout, 'data')
    const { id } = JSON.parse(String(line)) as { id: SandboxId }
    const marker = `SWARM_SANDBOX_ID\0${id}\0`
    expect(await findPidsByMarker(marker, 'cmdline')).not.toEqual([])
    child.killGroup('SIGKILL')
    await child.exited
    await waitFor('the end of the waiting guest program', async () =>
      (await findPidsByMarker(marker, 'cmdline')).length === 0 ? true : undefined,
    )
    const { driver } = await createDriver()
    expect(await driver.list()).toMatchObject([{ sandboxId: id, isAlive: false }])
    expect(await driver.gc(new Set())).toMatchObject({ removed: [id], problems: [] })
    expect(await findTraces(id)).toEqual([])
  })
})
