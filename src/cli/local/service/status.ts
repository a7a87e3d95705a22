import type { Command } from 'commander'
import { createClient } from '../../../client/client.ts'
import { apiSocketPathOf } from '../../../config/config.ts'
import { createUnixFetch } from '../../../platform/fetch-unix.ts'
import { findManagerOf, type ServiceManager } from '../../../platform/service-manager.ts'
import { CliError } from '../../cli-error.ts'
import type { CliContext } from '../../context.ts'
import { escapeLine } from '../../escape-text.ts'
import { EXIT } from '../../exit-codes.ts'
import type { Act } from '../../program.ts'
import { showOne } from '../../show-one.ts'
import { findDaemon } from '../daemon-record.ts'
import { findInstalled, type Installed, isThere } from './find-installed.ts'
import { type PlaceOptions, renderFiles } from './service-files.ts'
import { planService, type ServicePlan, UNIT_NAME } from './service-plan.ts'

type FileState = 'current' | 'outdated' | 'changed' | 'foreign' | 'absent'
type ServiceStatus = {
  readonly manager: ServiceManager
  readonly files: readonly { readonly path: string; readonly state: FileState }[]
  /** `manager`: who started it, `null` when neither did or this user may not see it */
  readonly daemon: { readonly pid: number; readonly manager: ServiceManager | null } | null
  /** As the daemon says itself; `null` when it does not answer */
  readonly health: string | null
  /** What is not as it should be, each with what to do */
  readonly problems: readonly string[]
}

const ANSWER_TIMEOUT_MS = 5_000

export function configure(command: Command, act: Act): void {
  command
    .option('--manager <name>', 'systemd or pm2; left out: the one that is installed')
    .option('--output <path>', 'folder that the files were written to')
    .addHelpText(
      'after',
      '\n0: installed as this version would do it, and the daemon runs under it and is healthy.' +
        '\n1: something of that is not so. 3: no service is installed.',
    )
    .action(
      act<PlaceOptions>(async (context, _args, options) => {
        const { output } = context
        const installed = await findInstalled(context, options)
        if (!isThere(installed)) {
          throw new CliError(
            EXIT.notFound,
            `no service is installed: ${installed.place.paths[0]} is not there`,
            {
              hint: 'swarm service install',
              code: 'service_absent',
            },
          )
        }
        const status = await look(context, installed)
        showOne(output, status, {
          id: ({ files }) => files[0]?.path ?? '',
          text: () => {
            for (const line of toLines(status)) output.line(line)
          },
        })
        return status.problems.length === 0 ? EXIT.ok : EXIT.failed
      }),
    )
}

async function look(context: CliContext, installed: Installed): Promise<ServiceStatus> {
  const { manager } = installed.place
  const main = installed.files[0]?.found
  // What it would be today is not known of a file that does not say with which options it was written.
  if (main?.kind !== 'written') {
    const files = installed.files.map(({ path }) => ({ path, state: 'foreign' as const }))
    const problems = [`${installed.place.paths[0]} was not written by swarm: swarm service install --force`]
    return { manager, files, daemon: null, health: null, problems }
  }
  const plan = await planService(context, main.options)
  const texts = renderFiles(plan, main.options)
  const files = installed.files.map(({ path, found }, index) => ({
    path,
    state: toState(found, texts[index]),
  }))
  const daemon = await findServedBy(plan).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EACCES') throw error
    throw new CliError(EXIT.auth, `this user may not look into ${plan.stateDir}`, { hint: 'run it as root' })
  })
  const health = daemon === null ? null : await askHealth(context, plan)
  const problems = [
    ...files.flatMap(({ path, state }) => (state === 'current' ? [] : [`${path}: ${FILE_PROBLEMS[state]}`])),
    ...toDaemonProblems(manager, daemon, health),
  ]
  return { manager, files, daemon, health, problems }
}

function toState(found: Installed['files'][number]['found'], text: string | undefined): FileState {
  if (found.kind !== 'written') return found.kind
  if (found.isModified) return 'changed'
  return found.text === text ? 'current' : 'outdated'
}

const FILE_PROBLEMS: Readonly<Record<Exclude<FileState, 'current'>, string>> = {
  absent: 'is not there: swarm service install',
  changed: 'was changed by hand: keep it, or swarm service install --force',
  foreign: 'was not written by swarm: swarm service install --force',
  outdated: 'is not what this version and configuration would write: swarm service install',
}

async function findServedBy({ stateDir }: ServicePlan): Promise<ServiceStatus['daemon']> {
  const daemon = await findDaemon(stateDir)
  return daemon === undefined
    ? null
    : { pid: daemon.pid, manager: await findManagerOf(daemon.pid, UNIT_NAME) }
}

/** `null` when it does not answer, or not to this user. */
async function askHealth(context: CliContext, plan: ServicePlan): Promise<string | null> {
  const client = createClient({ baseUrl: 'http://localhost', fetch: createUnixFetch(apiSocketPathOf(plan)) })
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)])
  return await client.health.get({ signal }).then(
    ({ status }) => status,
    () => {
      context.signal.throwIfAborted()
      return null
    },
  )
}

function toDaemonProblems(
  manager: ServiceManager,
  daemon: ServiceStatus['daemon'],
  health: string | null,
): readonly string[] {
  const start = manager === 'pm2' ? 'pm2 start the file' : `systemctl start ${UNIT_NAME}`
  if (daemon === null) return [`no daemon runs: ${start}`]
  return [
    ...(daemon.manager === manager
      ? []
      : [`process ${daemon.pid} was not started by ${manager}: swarm down, then ${start}`]),
    ...(health === 'ok' || health === 'degraded'
      ? []
      : [`the daemon is ${health ?? 'silent'}: swarm status`]),
  ]
}

function toLines({ manager, files, daemon, health, problems }: ServiceStatus): readonly string[] {
  return [
    ...files.map(({ path, state }) => `${path}: ${state}`),
    daemon === null
      ? 'daemon: none'
      : `daemon: process ${daemon.pid}, started by ${daemon.manager ?? 'neither'}`,
    `health: ${health ?? 'unknown'}`,
    ...problems.map((problem) => `problem: ${problem}`),
    ...(problems.length === 0 ? [`all well under ${manager}`] : []),
  ].map(escapeLine)
}
