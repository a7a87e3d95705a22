import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { SandboxId } from '../../src/domain/id.ts'
import { findCgroupSupport, listCgroups } from '../../src/platform/cgroup.ts'
import { spawnProcess } from '../../src/platform/process.ts'
import { findPidsByMarker } from '../../src/platform/process-identity.ts'
import type { Sandbox, SandboxDriver } from '../../src/sandbox/contract.ts'
import { SPAWN_STEPS } from '../../src/sandbox/process-driver.ts'
import { collect, textOf } from '../conformance/sandbox-suite.ts'
import {
  createTestSandboxDriver,
  ensureGuestProgram,
  spawnTestSandbox,
  toTestSpawnRequest,
} from '../support/sandbox.ts'

const TIMEOUT_MS = 20_000

describe.each(['bubblewrap', 'none'] as const)('recovery of sandboxes, %s', (kind) => {
  let stateDir: string
  beforeEach(async () => {
    stateDir = await mkdtemp(join(tmpdir(), 'swarm-recovery-'))
    await ensureGuestProgram()
  })
  afterEach(async () => {
    await (await createTestSandboxDriver(kind, stateDir)).gc(new Set())
    await rm(stateDir, { recursive: true, force: true })
  })

  async function findTraces(driver: SandboxDriver, id: SandboxId): Promise<readonly unknown[]> {
    const groups = await listGroupsOf(stateDir)
    return [
      ...(await driver.list()),
      ...(await readdir(join(stateDir, 'sandboxes')).catch(() => [])),
      ...(await findPidsByMarker(`SWARM_SANDBOX_ID\0${id}\0`, 'cmdline')),
      ...groups.filter((name) => name === id),
    ]
  }

  test.each(SPAWN_STEPS)('P7: failure at "%s" of a spawn is cleaned', async (failing) => {
    const driver = await createTestSandboxDriver(kind, stateDir, {
      onSpawnStep: (step) => {
        if (step === failing) throw new Error(`injected at ${step}`)
      },
    })
    const request = await toTestSpawnRequest(driver)
    const spawn = driver.spawn(request, AbortSignal.timeout(TIMEOUT_MS))
    await expect(spawn).rejects.toThrow(`injected at ${failing}`)
    expect(await findTraces(driver, request.sandboxId)).toEqual([])
  })

  test.each(SPAWN_STEPS)('P7: an abort at "%s" of a spawn is cleaned', async (aborting) => {
    const controller = new AbortController()
    const driver = await createTestSandboxDriver(kind, stateDir, {
      onSpawnStep: (step) => {
        if (step === aborting) controller.abort(new Error('canceled'))
      },
    })
    const request = await toTestSpawnRequest(driver)
    await driver.spawn(request, controller.signal).then(
      async (sandbox) => await sandbox.stop({ graceMs: 0 }),
      (error: Error) => {
        expect(error.message).toBe('canceled')
      },
    )
    expect(await findTraces(driver, request.sandboxId)).toEqual([])
  })

  test('a program that is no guest program fails the spawn, with its last words', async () => {
    const guestProgramPath = join(stateDir, 'broken.mjs')
    await writeFile(guestProgramPath, 'console.error("I am no guest"); process.exit(3)')
    const driver = await createTestSandboxDriver(kind, stateDir, { guestProgramPath })
    const request = await toTestSpawnRequest(driver)
    const spawn = driver.spawn(request, AbortSignal.timeout(TIMEOUT_MS))
    await expect(spawn).rejects.toMatchObject({
      code: 'spawn_failed',
      message: expect.stringContaining('no guest'),
    })
    expect(await findTraces(driver, request.sandboxId)).toEqual([])
  })

  test.each(SPAWN_STEPS)(
    'U11: a coordinator killed at "%s" of a spawn leaves nothing after gc',
    async (dying) => {
      // Frozen at the step for ever, as a killed one is: its driver object does nothing more.
      const frozen = Promise.withResolvers<void>()
      const dead = await createTestSandboxDriver(kind, stateDir, {
        onSpawnStep: async (step) => {
          if (step !== dying) return
          frozen.resolve()
          await new Promise(() => {})
        },
      })
      const request = await toTestSpawnRequest(dead)
      void dead.spawn(request, AbortSignal.timeout(TIMEOUT_MS)).catch(() => {})
      await frozen.promise
      const next = await createTestSandboxDriver(kind, stateDir)
      expect(await next.adopt(request.sandboxId, AbortSignal.timeout(TIMEOUT_MS))).toBeUndefined()
      expect((await next.gc(new Set())).problems).toEqual([])
      expect(await findTraces(next, request.sandboxId)).toEqual([])
    },
  )

  test('a sandbox outlives its killed coordinator; the next one reads on at the offset, nothing twice or lost', async () => {
    const child = spawnProcess({
      argv: [
        process.execPath,
        fileURLToPath(new URL('../support/sandbox-coordinator.ts', import.meta.url)),
        kind,
        stateDir,
      ],
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const last = await readUntil(child.stdout as AsyncIterable<Buffer>, ({ read }) => read > 40)
    child.killGroup('SIGKILL')
    await child.exited
    const driver = await createTestSandboxDriver(kind, stateDir)
    const adopted = (await driver.adopt(last.id, AbortSignal.timeout(TIMEOUT_MS))) as Sandbox
    const events = await collect(adopted.attach('lines', { stdoutOffset: last.read }))
    const whole = Array.from({ length: 40 }, (_, i) => `line ${i + 1}\n`).join('')
    expect(textOf(events, 'stdout')).toBe(whole.slice(last.read))
    expect(events.at(-1)).toMatchObject({ kind: 'exited', code: 0 })
    await adopted.stop({ graceMs: 0 })
    expect(await findTraces(driver, last.id)).toEqual([])
  })

  test('a record of another boot or of a reused pid is not adopted, and its removal harms nobody', async () => {
    const driver = await createTestSandboxDriver(kind, stateDir)
    const sandbox = await spawnTestSandbox(driver)
    await sandbox[Symbol.asyncDispose]()
    const path = join(stateDir, 'sandboxes', sandbox.id, 'record.json')
    const record = JSON.parse(await readFile(path, 'utf8'))
    const bystander = spawnProcess({ argv: ['sleep', '30'] })
    await writeFile(path, JSON.stringify({ ...record, process: { ...record.process, pid: bystander.pid } }))
    expect(await driver.adopt(sandbox.id, AbortSignal.timeout(TIMEOUT_MS))).toBeUndefined()
    await driver.gc(new Set())
    expect(bystander.killGroup('SIGKILL')).toBe(true)
    expect(await findTraces(driver, sandbox.id)).toEqual([])
  })

  test('a torn record is removed with everything it stood for', async () => {
    const driver = await createTestSandboxDriver(kind, stateDir)
    const sandbox = await spawnTestSandbox(driver)
    await sandbox[Symbol.asyncDispose]()
    await writeFile(join(stateDir, 'sandboxes', sandbox.id, 'record.json'), '{"version":1,"dri')
    expect(await driver.adopt(sandbox.id, AbortSignal.timeout(TIMEOUT_MS))).toBeUndefined()
    expect((await driver.gc(new Set())).removed).toEqual([sandbox.id])
    expect(await findTraces(driver, sandbox.id)).toEqual([])
  })
})

async function readUntil(
  lines: AsyncIterable<Buffer>,
  isEnough: (line: { id: SandboxId; read: number }) => boolean,
): Promise<{ id: SandboxId; read: number }> {
  let text = ''
  for await (const chunk of lines) {
    text += chunk.toString()
    const last = text.trimEnd().split('\n').at(-1) ?? ''
    if (text.endsWith('\n') && isEnough(JSON.parse(last))) return JSON.parse(last)
  }
  throw new Error(`the coordinator ended early: ${text}`)
}

async function listGroupsOf(stateDir: string): Promise<readonly string[]> {
  const { createHash } = await import('node:crypto')
  const name = `swarm-${createHash('sha256').update(stateDir).digest('hex').slice(0, 12)}`
  const support = process.getuid?.() === 0 ? await findCgroupSupport(name) : undefined
  return support === undefined ? [] : [...(await listCgroups(support)).keys()]
}
