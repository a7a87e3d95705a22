/** Life cycle of the daemon: start, serve, stop. */
import { existsSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { apiSocketPathOf, type Config, type RouteConfig, type TrackerConfig } from './config/config.ts'
import { mayNameWorkflow } from './config/may-name-workflow.ts'
import type { Secrets } from './config/secrets.ts'
import { type Context, createContext, createTracker } from './context.ts'
import { BackupError } from './coordinator/backup/backup-error.ts'
import { RESTORE_FOLDER } from './coordinator/backup/restore-backup.ts'
import type { StopMode } from './coordinator/coordinator.ts'
import { type HttpServer, serveHttpOnTcp, serveHttpOnUnixSocket } from './platform/http-server.ts'
import { createLogger, type Logger } from './platform/log.ts'
import { makePrivateDirectory } from './platform/private-directory.ts'
import { type TrackerCheck, TrackerError } from './tracker/contract.ts'

export { copyStore } from './copy-store.ts'
export { probeStore } from './open-store.ts'
export { backUpStopped, restoreState } from './state-backup.ts'

export type Daemon = {
  /** Always there while the daemon runs; only its owner can open it */
  readonly apiSocketPath: string
  /** `http://127.0.0.1:7377`, or `null` when no TCP address is configured */
  readonly apiUrl: string | null
  /** Whether its loops go round and its store answers; rejects when the store does not */
  isLive(): Promise<boolean>
  /**
   * Ends the daemon. `drain` leaves running sandboxes for the next start, `wait` lets held runs end first, `now`
   * cuts a stop in progress short. May be called again; every call resolves when everything is closed.
   */
  stop(options: { mode: StopMode }): Promise<void>
  /** Resolves when everything is closed, whoever asked for it. */
  readonly closed: Promise<void>
}

export type DaemonOptions = {
  readonly config: Config
  readonly secrets: Secrets
  /** Absent: as configured, to standard error */
  readonly logger?: Logger
}

const LOOPBACK_HOSTS = ['localhost', '127.0.0.1', '::1']
const SERVER_GRACE_MS = 2_000

/**
 * Opens the store, takes over what an earlier start left, begins to claim, then answers. When a part fails, what was
 * opened before it is closed again.
 * @throws StoreError, SandboxError, DirectoryNotPrivateError or the server's error, each with what to do
 */
export async function startDaemon({ config, secrets, logger: given }: DaemonOptions): Promise<Daemon> {
  const logger = given ?? createLogger(config.log)
  const warning = await makePrivateDirectory(config.stateDir)
  if (warning !== null) logger.warn({}, warning)
  await assertRestored(config.stateDir)
  for (const { setting, problem } of secrets.missing) logger.warn({ setting }, problem)
  const version = await readVersion()
  const context = await createContext({
    config,
    secrets,
    logger,
    version,
    guestDirectory: findGuestDirectory(),
  })
  const servers: HttpServer[] = []
  try {
    await context.coordinator.start()
    context.maintenance.start()
    const apiSocketPath = apiSocketPathOf(config)
    const handler = (request: Request, peer: Parameters<Context['api']['fetch']>[1]) =>
      context.api.fetch(request, peer)
    servers.push(await serveHttpOnUnixSocket(handler, apiSocketPath))
    const { host, port } = config.listen
    const tcp = port === null ? undefined : await serveHttpOnTcp(handler, { host, port })
    if (tcp !== undefined) servers.push(tcp)
    if (tcp !== undefined && !LOOPBACK_HOSTS.includes(host)) {
      logger.warn(
        { url: tcp.url },
        'the API is open to the network without TLS: tokens can be read on the way',
      )
    }
    logger.info({ socket: apiSocketPath, url: tcp?.url ?? null, version }, 'swarm is up')
    return toDaemon(context, servers, apiSocketPath, tcp?.url ?? null, logger)
  } catch (error) {
    await closeAll(context, servers, 'now')
    throw error
  }
}

/** Looks at a configured tracker without a daemon, and beside one; writes nothing. */
export async function checkTracker(
  config: TrackerConfig,
  routes: readonly RouteConfig[],
  signal: AbortSignal,
): Promise<TrackerCheck> {
  const tracker = createTracker(config)
  try {
    const check = await tracker.check(signal)
    if (mayNameWorkflow(config, routes)) return check
    return { ...check, problems: [noteUnrouted(config), ...check.problems] }
  } catch (error) {
    if (!(error instanceof TrackerError)) throw error
    const { fix } = error
    // Who asked knows of which tracker.
    const problem = error.message.replace(`tracker ${config.name}: `, '')
    return {
      isUsable: false,
      mapping: [],
      counts: [],
      sample: [],
      mirroredCount: 0,
      problems: [{ externalId: null, severity: 'refused', problem, fix }],
    }
  } finally {
    await tracker.close()
  }
}

/** The project's own default is in the store, which is not opened here. */
function noteUnrouted({ name, project }: TrackerConfig): TrackerCheck['problems'][number] {
  return {
    externalId: null,
    severity: 'note',
    problem: `neither the tracker nor a rule names a workflow for its tickets: they need a default of project ${project} or of its repository`,
    fix: `set trackers.${name}.workflow, add a rule, or: swarm project edit ${project} --workflow <name>`,
  }
}

function toDaemon(
  context: Context,
  servers: readonly HttpServer[],
  apiSocketPath: string,
  apiUrl: string | null,
  logger: Logger,
): Daemon {
  let closing: Promise<void> | undefined
  let resolveClosed: () => void = () => {}
  const closed = new Promise<void>((resolve) => {
    resolveClosed = resolve
  })
  return {
    apiSocketPath,
    apiUrl,
    closed,
    isLive: async () => (await context.coordinator.health()).isLive,
    async stop({ mode }) {
      if (closing !== undefined) await context.coordinator.stop(mode)
      closing ??= closeAll(context, servers, mode).finally(() => {
        logger.info({}, 'swarm is down')
        resolveClosed()
      })
      await closing
    },
  }
}

/** A restore that was cut off leaves a store that is not there, or work that is not: nothing may begin on it. */
async function assertRestored(stateDir: string): Promise<void> {
  const found = await stat(join(stateDir, RESTORE_FOLDER)).catch(() => undefined)
  if (found === undefined) return
  throw new BackupError(
    'damaged',
    `a restore into ${stateDir} runs, or was cut off: in that case empty the directory and restore again`,
  )
}

/** Claiming ends first and the store last: what is being recorded still finds it. */
async function closeAll(context: Context, servers: readonly HttpServer[], mode: StopMode): Promise<void> {
  const maintained = context.maintenance.stop()
  await context.coordinator.stop(mode)
  context.api.endStreams()
  await maintained
  await Promise.all(servers.map((server) => server.close({ graceMs: SERVER_GRACE_MS })))
  await context.close()
}

/** The bundles lie in `dist/guest`: beside the built program, or made by `npm install` in a checkout. */
function findGuestDirectory(): string {
  const built = fileURLToPath(new URL('./guest', import.meta.url))
  return existsSync(built) ? built : fileURLToPath(new URL('../dist/guest', import.meta.url))
}

export async function readVersion(): Promise<string> {
  const path = fileURLToPath(new URL('../package.json', import.meta.url))
  return (JSON.parse(await readFile(path, 'utf8')) as { version: string }).version
}
