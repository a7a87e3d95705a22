import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { toId } from '../../src/domain/id.ts'
import { runProcess } from '../../src/platform/process.ts'
import {
  type BubblewrapDriverOptions,
  createBubblewrapDriver,
} from '../../src/sandbox/bubblewrap/create-bubblewrap-driver.ts'
import type { Sandbox, SandboxDriver, SpawnRequest } from '../../src/sandbox/contract.ts'
import { createFakeDriver, type FakeHost } from '../../src/sandbox/fake/create-fake-driver.ts'
import { createNoneDriver } from '../../src/sandbox/none/create-none-driver.ts'

export type TestSandboxKind = 'bubblewrap' | 'none' | 'fake'

export const TEST_LIMITS = { memoryMib: 256, processCountMax: 64, diskMib: 32 } as const
const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const GUEST_PROGRAM = `${ROOT}dist/guest/swarm-guest.mjs`

/**
 * A driver for a test; its state is in `dir`. Before `dir` is removed: `await driver.gc(new Set())`.
 * @param overrides for bubblewrap and none: paths, `onSpawnStep` …; `host` shares the sandboxes of fakes
 */
export async function createTestSandboxDriver(
  kind: TestSandboxKind,
  dir: string,
  overrides: Partial<BubblewrapDriverOptions> & { readonly host?: FakeHost } = {},
): Promise<SandboxDriver> {
  const { host, ...options } = overrides
  const clock = { now: () => Date.now() }
  if (kind === 'fake')
    return createFakeDriver({ clock, randomBytes, ...(host === undefined ? {} : { host }) })
  const guestProgramPath = options.guestProgramPath ?? (await ensureGuestProgram())
  const common = { stateDir: dir, clock, randomBytes, ...options, guestProgramPath }
  if (kind === 'none') return createNoneDriver({ ...common, warn: () => {} })
  return await createBubblewrapDriver(common)
}

/** A spawn request with small limits; what is given wins. */
export async function toTestSpawnRequest(
  driver: SandboxDriver,
  overrides: Partial<SpawnRequest> = {},
): Promise<SpawnRequest> {
  return {
    sandboxId: toId('sandbox', Date.now(), randomBytes(16)),
    template: await driver.prepareTemplate({}),
    limits: TEST_LIMITS,
    env: {},
    hostname: 'test-1',
    deadmanMs: 60_000,
    labels: {},
    ...overrides,
  }
}

export async function spawnTestSandbox(
  driver: SandboxDriver,
  overrides: Partial<SpawnRequest> = {},
): Promise<Sandbox> {
  return await driver.spawn(await toTestSpawnRequest(driver, overrides), AbortSignal.timeout(30_000))
}

/** The bundled guest program, built again when its sources are newer. */
export async function ensureGuestProgram(): Promise<string> {
  if (existsSync(GUEST_PROGRAM) && statSync(GUEST_PROGRAM).mtimeMs > newestSourceMs()) return GUEST_PROGRAM
  const result = await runProcess({
    argv: [process.execPath, `${ROOT}scripts/build-guest.ts`],
    cwd: ROOT,
    timeoutMs: 60_000,
    outputBytesMax: 100_000,
  })
  if (result.code !== 0) throw new Error(`the guest program was not built: ${result.stderr}`)
  return GUEST_PROGRAM
}

function newestSourceMs(): number {
  const files = [
    ...readdirSync(`${ROOT}guest`).map((name) => `${ROOT}guest/${name}`),
    ...readdirSync(`${ROOT}src/sandbox`)
      .filter((name) => name.startsWith('guest-protocol'))
      .map((name) => `${ROOT}src/sandbox/${name}`),
  ]
  return Math.max(...files.map((file) => statSync(file).mtimeMs))
}
