import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toId } from '../src/domain/id.ts'
import { runProcess } from '../src/platform/process.ts'
import { DEFAULT_LIMITS } from '../src/sandbox/contract.ts'
import { createTestSandboxDriver } from '../test/support/sandbox.ts'
import type { Sample } from './sample.ts'

export type SandboxStart = {
  /** An empty program in the Node.js that the guest program runs in, without any sandbox: no start can be quicker */
  readonly bareNode: Sample
  /** `spawn` called → `/bin/true` started, no coordinator */
  readonly spawnToStarted: Sample
  /** `stop` called → nothing left of it */
  readonly stop: Sample
}

/** Starts sandboxes one after the other, each taking turns with a bare Node.js. */
export async function measureSandboxStart(count: number): Promise<SandboxStart> {
  const directory = await mkdtemp(join(tmpdir(), 'swarm-t-'))
  const driver = await createTestSandboxDriver('bubblewrap', directory)
  const template = await driver.prepareTemplate({})
  const start = { bareNode: [] as number[], spawnToStarted: [] as number[], stop: [] as number[] }
  try {
    for (let i = 0; i < count; i++) {
      start.bareNode.push(await timeBareNode())
      const askedAt = performance.now()
      const sandbox = await driver.spawn(
        {
          sandboxId: toId('sandbox', Date.now(), randomBytes(16)),
          template,
          limits: DEFAULT_LIMITS,
          env: {},
          hostname: 'bench',
          deadmanMs: 60_000,
          labels: {},
        },
        AbortSignal.timeout(60_000),
      )
      await sandbox.exec({ execId: 'main', argv: ['/bin/true'] })
      start.spawnToStarted.push(performance.now() - askedAt)
      const stopAskedAt = performance.now()
      await sandbox.stop({ graceMs: 0 })
      start.stop.push(performance.now() - stopAskedAt)
    }
    return start
  } finally {
    await driver.gc(new Set())
    await rm(directory, { recursive: true, force: true })
  }
}

async function timeBareNode(): Promise<number> {
  const startedAt = performance.now()
  await runProcess({ argv: [process.execPath, '-e', '0'], timeoutMs: 30_000, outputBytesMax: 1_000 })
  return performance.now() - startedAt
}
