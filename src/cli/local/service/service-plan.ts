import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as z from 'zod'
import type { Config } from '../../../config/config.ts'
import { loadConfig } from '../../../config/load-config.ts'
import { listConfigPaths, toAbsolutePath } from '../../../platform/paths.ts'
import { readSystemdVersion, type ServiceManager } from '../../../platform/service-manager.ts'
import { CliError } from '../../cli-error.ts'
import type { CliContext } from '../../context.ts'
import { EXIT } from '../../exit-codes.ts'
import { DRAIN_TIMEOUT_MS } from '../drain-timeout.ts'

/** What a person chose when the service was installed; kept in the file itself, so that it can be written again. */
export type ServiceOptions = z.infer<typeof serviceOptionsSchema>

const pathSchema = z.string().min(1).max(4096).startsWith('/')
export const serviceOptionsSchema = z.strictObject({
  manager: z.enum(['systemd', 'pm2']),
  /** User that the daemon runs as; `null`: whoever runs PM2 */
  user: z.string().nullable(),
  configPath: pathSchema,
  /** `null`: as configured */
  stateDir: pathSchema.nullable(),
  /** Directories beside the state that the daemon may write, such as repositories on this host */
  writable: z.array(pathSchema).max(100),
})

/** Everything that the files of a service say; pure data. */
export type ServicePlan = Omit<ServiceOptions, 'stateDir'> & {
  readonly nodePath: string
  readonly programPath: string
  readonly stateDir: string
  /** Variables with keys of models and forges, `NAME=value` lines; it need not exist */
  readonly environmentFile: string
  /** Time without a sign of life after which the daemon is killed, `ms` */
  readonly watchdogMs: number
  /** Time from the request to stop to the kill, `ms`; above the drain */
  readonly stopTimeoutMs: number
  readonly startTimeoutMs: number
  /** Version of the systemd here; 0: none */
  readonly systemdVersion: number
}

export const UNIT_NAME = 'swarm.service'
const PROGRAM = fileURLToPath(new URL('../../../../bin/swarm.cjs', import.meta.url))
const USER_NAME = /^[a-z_][a-z0-9_-]{0,30}$/
const STOP_MARGIN_MS = 30_000
const STOP_TIMEOUT_MS = DRAIN_TIMEOUT_MS + STOP_MARGIN_MS
/** Time that whoever stops the service gives its manager, `ms`: that one waits for `stopTimeoutMs` first */
export const STOP_WAIT_MS = STOP_TIMEOUT_MS + STOP_MARGIN_MS
const START_TIMEOUT_MS = 120_000
const WATCHDOG_MS_MIN = 60_000
/** Health tolerates five missed looks for work; the watchdog kills well after health has said so */
const WATCHDOG_POLL_COUNT = 20

/**
 * What a service of these options says today: with the configuration as it is, this Node and this package.
 * @throws ConfigError, or CliError when there is no configuration or a path that no service file can hold
 */
export async function planService(context: CliContext, options: ServiceOptions): Promise<ServicePlan> {
  const flags =
    options.stateDir === null
      ? []
      : [{ setting: 'state-dir', value: options.stateDir, origin: 'flag --state-dir' }]
  // Not this shell's variables: the daemon will not have them. And a service of the machine has the machine's defaults.
  const { config } = await loadConfig({
    configPath: options.configPath,
    environment: {},
    places: options.manager === 'systemd' ? { ...context.places, isRoot: true } : context.places,
    flags,
  })
  const plan: ServicePlan = {
    ...options,
    nodePath: process.execPath,
    programPath: PROGRAM,
    writable: [...new Set([...options.writable, ...listTrackerFolders(config)])],
    stateDir: config.stateDir,
    environmentFile: join(dirname(options.configPath), 'swarm.env'),
    watchdogMs: toWatchdogMs(config),
    stopTimeoutMs: STOP_TIMEOUT_MS,
    startTimeoutMs: START_TIMEOUT_MS,
    systemdVersion: options.manager === 'systemd' ? await readSystemdVersion(context.environment) : 0,
  }
  const { nodePath, programPath, stateDir, configPath, writable, environmentFile } = plan
  for (const path of [nodePath, programPath, stateDir, configPath, environmentFile, ...writable])
    assertPlain(path)
  // No way of writing makes systemd take such a program.
  if (plan.manager === 'systemd' && /["'\\]/.test(nodePath)) refusePath(nodePath, 'a quote or backslash')
  return plan
}

/** Where rows of trackers are taken and written back: SQLite keeps its journal beside the file. */
function listTrackerFolders({ trackers }: Config): readonly string[] {
  return trackers.map(({ path }) => dirname(path)).filter((folder) => folder !== '/')
}

/** The file that the daemon of the service is to read: the one that is read here and now. */
export async function findConfigPath({ environment, places, globals }: CliContext): Promise<string> {
  const named = globals.config ?? (environment.SWARM_CONFIG || undefined)
  const candidates =
    named === undefined
      ? listConfigPaths(environment, places)
      : [toAbsolutePath(named, places.workingDirectory, places)]
  for (const path of candidates) if (await isFile(path)) return path
  throw new CliError(EXIT.notFound, `no configuration file; looked for ${candidates.join(', ')}`, {
    hint: 'write one: swarm init',
    code: 'config_absent',
  })
}

/** @throws CliError when it is no name of an ordinary user */
export function parseUserName(name: string): string {
  if (name === 'root') {
    throw new CliError(EXIT.usage, 'the service does not run as root', {
      hint: 'leave --user out, or name another',
    })
  }
  if (USER_NAME.test(name)) return name
  throw new CliError(EXIT.usage, `${JSON.stringify(name)} is not the name of a user`, {
    hint: 'lower-case letters, digits, - and _, at most 31, beginning with a letter',
  })
}

function toWatchdogMs({ pollIntervalMs }: Config): number {
  return Math.max(WATCHDOG_MS_MIN, WATCHDOG_POLL_COUNT * pollIntervalMs)
}

/**
 * Files of services are lines: what would begin another one, or join two, cannot be written into them. The file for
 * PM2 is a program, and there U+2028 and U+2029 end a line too, so a comment as well.
 */
function assertPlain(path: string): void {
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(path)) refusePath(path, 'a control character or line separator')
  if (/[\\\s]$/.test(path)) refusePath(path, 'a space or backslash at its end')
}

function refusePath(path: string, what: string): never {
  throw new CliError(EXIT.usage, `a service cannot use the path ${JSON.stringify(path)}: it has ${what}`, {
    hint: 'choose another place',
  })
}

async function isFile(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isFile(),
    () => false,
  )
}

export function isServiceManager(name: string): name is ServiceManager {
  return name === 'systemd' || name === 'pm2'
}
