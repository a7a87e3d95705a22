import { rm } from 'node:fs/promises'
import type { Command } from 'commander'
import { runManager } from '../../../platform/service-manager.ts'
import { CliError } from '../../cli-error.ts'
import type { CliContext } from '../../context.ts'
import { escapeLine } from '../../escape-text.ts'
import { EXIT } from '../../exit-codes.ts'
import type { Act } from '../../program.ts'
import { showOne } from '../../show-one.ts'
import { findInstalled } from './find-installed.ts'
import { type FoundFile, type PlaceOptions, type ServicePlace, toFileError } from './service-files.ts'
import { STOP_WAIT_MS, UNIT_NAME } from './service-plan.ts'

type Options = PlaceOptions & { readonly force?: boolean }
type Outcome = 'removed' | 'absent' | 'not written by swarm' | 'changed since'

export function configure(command: Command, act: Act): void {
  command
    .option('--manager <name>', 'systemd or pm2; left out: the one that is installed')
    .option('--output <path>', 'folder that the files were written to')
    .option('--force', 'remove files too that were changed, or that swarm did not write')
    .addHelpText('after', '\nNever touches the state, the configuration or the user. 5 when a file was kept.')
    .action(
      act<Options>(async (context, _args, options) => {
        const { output } = context
        const { place, files } = await findInstalled(context, options)
        const outcomes = files.map((file) => ({ ...file, outcome: toOutcome(file, options.force === true) }))
        const isLeaving = outcomes[0]?.outcome === 'removed'
        if (isLeaving && place.isLive) await stopUnit(context)
        for (const { path, outcome } of outcomes) if (outcome === 'removed') await remove(path)
        if (isLeaving && place.isLive) await runManager(['systemctl', 'daemon-reload'], context.environment)
        const nextSteps = isLeaving ? listNextSteps(place) : []
        const kept = outcomes.filter(({ outcome }) => outcome !== 'removed' && outcome !== 'absent')
        showOne(
          output,
          {
            manager: place.manager,
            files: outcomes.map(({ path, outcome }) => ({ path, outcome })),
            nextSteps,
          },
          {
            id: () => place.paths[0],
            text: () => {
              for (const { path, outcome } of outcomes) output.line(toLine(path, outcome))
              for (const step of nextSteps) output.message(`next: ${escapeLine(step)}`)
            },
          },
        )
        if (kept.length === 0) return
        output.message(`kept what is not as swarm wrote it; remove it too: swarm service uninstall --force`)
        return EXIT.conflict
      }),
    )
}

function toOutcome({ found }: FoundFile, force: boolean): Outcome {
  if (found.kind === 'absent') return 'absent'
  if (force) return 'removed'
  if (found.kind === 'foreign') return 'not written by swarm'
  return found.isModified ? 'changed since' : 'removed'
}

function toLine(path: string, outcome: Outcome): string {
  const name = escapeLine(path)
  if (outcome === 'removed') return `removed ${name}`
  if (outcome === 'absent') return `${name} is not there`
  return `kept ${name}: ${outcome}`
}

async function remove(path: string): Promise<void> {
  try {
    await rm(path, { force: true })
  } catch (error) {
    throw toFileError('remove', path, error)
  }
}

/** Politely: running sandboxes are left until their deadline, for a daemon that is started otherwise. */
async function stopUnit({ environment }: CliContext): Promise<void> {
  const argv = ['systemctl', 'disable', '--now', UNIT_NAME]
  const { isDone, text } = await runManager(argv, environment, STOP_WAIT_MS)
  if (isDone) return
  throw new CliError(EXIT.failed, `nothing was removed: ${argv.join(' ')} failed: ${text}`, {
    hint: 'run it by hand, then this again',
    code: 'manager_failed',
  })
}

function listNextSteps({ manager, isLive }: ServicePlace): readonly string[] {
  if (manager === 'pm2') return ['pm2 delete swarm', 'pm2 save']
  return isLive ? [] : ['systemctl disable --now swarm.service', 'systemctl daemon-reload']
}
