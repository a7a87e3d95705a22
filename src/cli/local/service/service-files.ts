import { dirname, join } from 'node:path'
import { toAbsolutePath } from '../../../platform/paths.ts'
import { isSystemdRunning, type ServiceManager } from '../../../platform/service-manager.ts'
import { CliError } from '../../cli-error.ts'
import type { CliContext } from '../../context.ts'
import { EXIT } from '../../exit-codes.ts'
import { describeSystemError } from '../../system-words.ts'
import { toPm2File } from './pm2-file.ts'
import {
  findConfigPath,
  isServiceManager,
  type ServiceOptions,
  type ServicePlan,
  UNIT_NAME,
} from './service-plan.ts'
import { toSystemdUnit, toSysusers } from './systemd-unit.ts'
import { readWrittenFile, type WrittenFile, withHeader } from './written-file.ts'

/** Where the files of a service lie. The first is the one that makes it a service. */
export type ServicePlace = {
  readonly manager: ServiceManager
  readonly paths: readonly [string, ...string[]]
  /** Whether systemd itself looks there, and runs here: then it can be told of changes */
  readonly isLive: boolean
}

/** What the commands have in common. */
export type PlaceOptions = { readonly manager?: string; readonly output?: string }

const UNIT_HOME = '/etc/systemd/system'
const SYSUSERS_HOME = '/etc/sysusers.d'
const SYSUSERS_NAME = 'swarm.conf'
const PM2_NAME = 'ecosystem.config.cjs'

/** @throws CliError for a manager that is none, or for PM2 when there is no configuration whose folder could be taken */
export async function findPlace(
  context: CliContext,
  manager: ServiceManager,
  output: string | undefined,
): Promise<ServicePlace> {
  const { places } = context
  const folder = output === undefined ? undefined : toAbsolutePath(output, places.workingDirectory, places)
  if (manager === 'pm2') {
    const home = folder ?? dirname(await findConfigPath(context))
    return { manager, paths: [join(home, PM2_NAME)], isLive: false }
  }
  return {
    manager,
    paths: [join(folder ?? UNIT_HOME, UNIT_NAME), join(folder ?? SYSUSERS_HOME, SYSUSERS_NAME)],
    isLive: folder === undefined && (await isSystemdRunning()),
  }
}

export function parseManager(name: string | undefined): ServiceManager {
  const manager = name ?? 'systemd'
  if (isServiceManager(manager)) return manager
  throw new CliError(EXIT.usage, `${JSON.stringify(manager)} is no service manager that is known here`, {
    hint: '--manager systemd, or --manager pm2',
  })
}

/** The text of each file, in the order of `paths`. */
export function renderFiles(plan: ServicePlan, options: ServiceOptions): readonly string[] {
  if (plan.manager === 'pm2') return [withHeader(toPm2File(plan), '//', options)]
  return [toSystemdUnit(plan), toSysusers(plan)].map((body) => withHeader(body, '#', options))
}

/** @throws CliError when a file is there and cannot be read */
export async function readFiles({ paths }: ServicePlace): Promise<readonly FoundFile[]> {
  return await Promise.all(
    paths.map(async (path) => {
      try {
        return { path, found: await readWrittenFile(path) }
      } catch (error) {
        throw toFileError('read', path, error)
      }
    }),
  )
}

export type FoundFile = { readonly path: string; readonly found: WrittenFile }

export function toFileError(verb: 'read' | 'write' | 'remove', path: string, error: unknown): CliError {
  const { code } = error as NodeJS.ErrnoException
  const isRight = code === 'EACCES' || code === 'EPERM'
  const hints = {
    read: 'run it as root',
    remove: 'run it as root',
    write: 'run it as root, choose a folder with --output, or see the files with --print',
  }
  return new CliError(
    isRight ? EXIT.auth : EXIT.failed,
    `cannot ${verb} ${path}: ${describeSystemError(error)}`,
    {
      hint: isRight ? hints[verb] : undefined,
      code: 'file_failed',
      cause: error,
    },
  )
}
