import { stat } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { toAbsolutePath } from '../../../platform/paths.ts'
import { makePrivateDirectory } from '../../../platform/private-directory.ts'
import { runManager } from '../../../platform/service-manager.ts'
import { CliError } from '../../cli-error.ts'
import type { CliContext } from '../../context.ts'
import { escapeLine } from '../../escape-text.ts'
import { EXIT } from '../../exit-codes.ts'
import type { Act } from '../../program.ts'
import { showOne } from '../../show-one.ts'
import {
  findPlace,
  parseManager,
  readFiles,
  renderFiles,
  type ServicePlace,
  toFileError,
} from './service-files.ts'
import {
  findConfigPath,
  parseUserName,
  planService,
  type ServiceOptions,
  type ServicePlan,
  UNIT_NAME,
} from './service-plan.ts'
import { hasStateDirectory } from './systemd-unit.ts'
import { replaceFile } from './written-file.ts'

type Options = {
  readonly manager?: string
  readonly user?: string
  readonly output?: string
  readonly writable?: readonly string[]
  readonly print?: boolean
  readonly force?: boolean
}

const DEFAULT_USER = 'swarm'

export function configure(command: Command, act: Act): void {
  command
    .option('--manager <name>', 'systemd or pm2', 'systemd')
    .option('--user <name>', 'user that the daemon runs as (systemd; default: swarm)')
    .option(
      '--writable <path...>',
      'directories beside the state that it may write: repositories on this host',
    )
    .option('--output <path>', "folder for the files, in place of the manager's own")
    .addOption(new Option('--print', 'print the files and write nothing'))
    .addOption(new Option('--dry-run', 'the same as --print').implies({ print: true }))
    .option('--force', 'replace files that were changed, or that swarm did not write')
    .addHelpText(
      'after',
      '\nMay be repeated: what is as it should be is left alone, and options that are not given stay as they were' +
        '\ninstalled. Starts nothing; it says how.',
    )
    .action(
      act<Options>(async (context, _args, options) => {
        const chosen = await toServiceOptions(context, options)
        const plan = await planService(context, chosen)
        const texts = renderFiles(plan, chosen)
        const place = await findPlace(context, chosen.manager, options.output)
        if (options.print === true) return print(context, place, texts)
        const changes = await write(place, texts, { force: options.force === true })
        if (plan.manager === 'pm2') await makePrivateDirectory(plan.stateDir)
        if (place.isLive) await tellSystemd(context, place)
        const nextSteps = await listNextSteps(plan, place)
        showOne(
          context.output,
          { manager: plan.manager, files: changes, nextSteps },
          {
            id: () => place.paths[0],
            text: () => {
              for (const { path, change } of changes) context.output.line(`${change} ${escapeLine(path)}`)
              context.output.message('next:')
              for (const step of nextSteps) context.output.message(`  ${escapeLine(step)}`)
            },
          },
        )
      }),
    )
}

async function toServiceOptions(context: CliContext, options: Options): Promise<ServiceOptions> {
  const { environment, places, globals } = context
  const manager = parseManager(options.manager)
  if (manager === 'pm2' && (options.user !== undefined || options.writable !== undefined)) {
    throw new CliError(
      EXIT.usage,
      '--user and --writable are for systemd: under PM2 the daemon is who runs PM2',
    )
  }
  const absolute = (path: string) => toAbsolutePath(path, places.workingDirectory, places)
  const earlier = await findEarlierOptions(context, manager, options.output)
  const isConfigNamed = globals.config !== undefined || Boolean(environment.SWARM_CONFIG)
  return {
    manager,
    user: manager === 'pm2' ? null : parseUserName(options.user ?? earlier?.user ?? DEFAULT_USER),
    configPath: earlier === undefined || isConfigNamed ? await findConfigPath(context) : earlier.configPath,
    stateDir: globals.stateDir === undefined ? (earlier?.stateDir ?? null) : absolute(globals.stateDir),
    writable: options.writable?.map(absolute) ?? earlier?.writable ?? [],
  }
}

/** What was chosen before holds until something else is: an update repeats the command, not its options. */
async function findEarlierOptions(
  context: CliContext,
  manager: ServicePlan['manager'],
  output: string | undefined,
): Promise<ServiceOptions | undefined> {
  const [first] = await readFiles(await findPlace(context, manager, output))
  return first?.found.kind === 'written' ? first.found.options : undefined
}

function print(
  { output }: CliContext,
  { manager, paths }: ServicePlace,
  texts: readonly string[],
): undefined {
  const files = paths.map((path, index) => ({ path, text: texts[index] ?? '' }))
  if (output.format === 'json') output.json({ manager, files })
  else if (output.format === 'ids') for (const { path } of files) output.line(path)
  else {
    for (const { path, text } of files) {
      output.message(`${escapeLine(path)}:`)
      output.line(text.trimEnd())
    }
  }
}

type Change = 'wrote' | 'replaced' | 'kept'

/** Looks at every file before it writes one. @throws CliError when one is not ours to replace */
async function write(
  place: ServicePlace,
  texts: readonly string[],
  { force }: { force: boolean },
): Promise<readonly { path: string; change: Change }[]> {
  const files = (await readFiles(place)).map((file, index) => ({ ...file, text: texts[index] ?? '' }))
  const refused = files.find(
    ({ found }) => found.kind === 'foreign' || (found.kind === 'written' && found.isModified),
  )
  if (refused !== undefined && !force) {
    const why =
      refused.found.kind === 'foreign' ? 'swarm did not write it' : 'it was changed since swarm wrote it'
    throw new CliError(EXIT.conflict, `${refused.path} is there already, and ${why}`, {
      hint: 'look at both (swarm service install --print), then replace it with --force',
      code: 'file_not_ours',
    })
  }
  const changes: { path: string; change: Change }[] = []
  for (const { path, found, text } of files) {
    const isSame = found.kind === 'written' && found.text === text
    if (!isSame) await writeOne(path, text)
    changes.push({ path, change: isSame ? 'kept' : found.kind === 'absent' ? 'wrote' : 'replaced' })
  }
  return changes
}

async function writeOne(path: string, text: string): Promise<void> {
  try {
    await replaceFile(path, text)
  } catch (error) {
    throw toFileError('write', path, error)
  }
}

/** Makes the user and has systemd read the unit. Repeating is fine. */
async function tellSystemd({ environment }: CliContext, { paths }: ServicePlace): Promise<void> {
  const [, sysusersPath = ''] = paths
  for (const argv of [
    ['systemd-sysusers', sysusersPath],
    ['systemctl', 'daemon-reload'],
  ]) {
    const { isDone, text } = await runManager(argv, environment)
    if (isDone) continue
    throw new CliError(EXIT.failed, `the files are written, but ${argv.join(' ')} failed: ${text}`, {
      hint: 'run it by hand, then swarm service status',
      code: 'manager_failed',
    })
  }
}

/** Commands for a person, in their order. */
async function listNextSteps(plan: ServicePlan, { paths, isLive }: ServicePlace): Promise<readonly string[]> {
  const [path, sysusersPath = ''] = paths.map(quoteForShell)
  if (plan.manager === 'pm2') return [`pm2 start ${path}`, 'pm2 save']
  const config = quoteForShell(plan.configPath)
  const stateDir = quoteForShell(plan.stateDir)
  const unit = paths[0].startsWith('/etc/systemd/system/') ? UNIT_NAME : path
  return [
    ...(isLive ? [] : [`systemd-sysusers ${sysusersPath}`]),
    ...((await canEveryoneRead(plan.configPath))
      ? []
      : [`chgrp ${plan.user} ${config} && chmod 640 ${config}`]),
    ...(hasStateDirectory(plan) ? [] : [`install -d -o ${plan.user} -g ${plan.user} -m 700 ${stateDir}`]),
    ...(isLive ? [] : ['systemctl daemon-reload']),
    `systemctl enable --now ${unit}`,
  ]
}

async function canEveryoneRead(path: string): Promise<boolean> {
  return ((await stat(path)).mode & 0o004) !== 0
}

function quoteForShell(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
