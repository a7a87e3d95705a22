import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createClient, type SwarmClient } from '../../src/client/client.ts'
import { createUnixFetch } from '../../src/platform/fetch-unix.ts'

/** The daemon as a process of its own, started by the product's own command, so that it can be killed. */
export type DaemonProcess = {
  readonly client: SwarmClient
  readonly pid: number
  /** What it wrote to standard error so far */
  readonly log: () => string
  /** SIGKILL: it gets no chance to do anything */
  kill(): Promise<void>
  /** Signals it and waits for its end */
  signal(signal: NodeJS.Signals): Promise<number | null>
}

/** Runs one command of the product to its end. */
export async function runSwarm(args: readonly string[]): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(process.execPath, [SWARM, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env.PATH, HOME: '/nonexistent' },
    timeout: START_TIMEOUT_MS,
  })
  let stderr = ''
  child.stderr.on('data', (data) => (stderr += data))
  await once(child, 'close')
  return { code: child.exitCode, stderr }
}

/** The product's command, as a program for Node */
export const SWARM = fileURLToPath(new URL('../../bin/swarm.cjs', import.meta.url))
const START_TIMEOUT_MS = 30_000

/** Starts `swarm up` on a state directory made by `makeTestDirectory` and waits until it answers. */
export async function startDaemonProcess(
  directory: string,
  environment: Readonly<Record<string, string>> = {},
  program: string = SWARM,
): Promise<DaemonProcess> {
  const child = spawn(process.execPath, [program, '--config', join(directory, 'config.yaml'), 'up'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env.PATH, HOME: directory, ...environment },
  })
  let log = ''
  child.stderr.on('data', (data) => (log += data))
  const closed = once(child, 'close')
  const client = createClient({
    baseUrl: 'http://localhost',
    fetch: createUnixFetch(join(directory, 'state', 'api.sock')),
  })
  await waitUntilLive(client, child, () => log)
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await closed
    return child.exitCode
  }
  return {
    client,
    pid: child.pid ?? -1,
    log: () => log,
    kill: async () => void (await end('SIGKILL')),
    signal: end,
  }
}

async function waitUntilLive(client: SwarmClient, child: ChildProcess, log: () => string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS
  while (Date.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`the daemon ended with ${child.exitCode}: ${log()}`)
    try {
      await client.health.live()
      return
    } catch {
      await delay(50)
    }
  }
  child.kill('SIGKILL')
  throw new Error(`the daemon did not answer within ${START_TIMEOUT_MS} ms: ${log()}`)
}
