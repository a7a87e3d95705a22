import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient, type SwarmClient } from '../../src/client/client.ts'
import { loadConfig } from '../../src/config/load-config.ts'
import { loadSecrets } from '../../src/config/secrets.ts'
import { type Daemon, startDaemon } from '../../src/main.ts'
import { createUnixFetch } from '../../src/platform/fetch-unix.ts'
import { createLogger, type Logger } from '../../src/platform/log.ts'

export type TestSwarmOptions = {
  /** YAML beside `state-dir` and `listen`, which are the test's own */
  readonly config?: string
  /** Variables that the configuration refers to */
  readonly environment?: Readonly<Record<string, string>>
  readonly logger?: Logger
  /** TCP beside the unix socket; none when absent */
  readonly listen?: { readonly port: number }
  /** A folder that another one left: a restart */
  readonly directory?: string
}

/** The whole daemon in this process, on a state directory of its own, spoken to through the client only. */
export type TestSwarm = AsyncDisposable & {
  readonly daemon: Daemon
  readonly client: SwarmClient
  readonly directory: string
  /** Ends the daemon and leaves the folder for the next one */
  stop(mode?: 'drain' | 'wait' | 'now'): Promise<void>
}

/** Starts it; disposing ends it and removes its folder. */
export async function startTestSwarm(options: TestSwarmOptions = {}): Promise<TestSwarm> {
  const directory = options.directory ?? (await makeTestDirectory())
  const configPath = await writeTestConfig(directory, options.config ?? '', options.listen)
  const places = { home: directory, workingDirectory: directory, isRoot: true }
  const environment = options.environment ?? {}
  const { config } = await loadConfig({ configPath, environment, places })
  const daemon = await startDaemon({
    config,
    secrets: await loadSecrets(config, environment),
    logger: options.logger ?? createLogger({ level: 'silent' }),
  })
  const client = createClient({ baseUrl: 'http://localhost', fetch: createUnixFetch(daemon.apiSocketPath) })
  const stop: TestSwarm['stop'] = (mode = 'drain') => daemon.stop({ mode })
  return {
    daemon,
    client,
    directory,
    stop,
    async [Symbol.asyncDispose]() {
      await stop('now')
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** Short, because socket paths are limited in length. */
export async function makeTestDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'swarm-t-'))
  await mkdir(join(directory, 'state'), { mode: 0o700 })
  return directory
}

export async function writeTestConfig(
  directory: string,
  more: string,
  listen?: { readonly port: number },
): Promise<string> {
  const path = join(directory, 'config.yaml')
  await writeFile(path, `state-dir: ${directory}/state\nlisten: { port: ${listen?.port ?? null} }\n${more}`)
  return path
}
