import type { Command } from 'commander'
import { parseCount, parseDurationOption } from '../parse-options.ts'
import type { Act } from '../program.ts'
import { resolveRun } from '../resolve.ts'
import { printLogs } from './print-logs.ts'

type Options = {
  readonly follow?: boolean
  readonly step?: string
  readonly attempt?: string
  readonly tail?: string
  readonly since?: string
  readonly timestamps?: boolean
  readonly raw?: boolean
}

export function configure(command: Command, act: Act): void {
  command
    .argument('<run>', 'identifier, its beginning, or a ticket')
    .option('-f, --follow', 'go on until the run is over')
    .option('-s, --step <name>', 'of this step only: build or build[3]')
    .option('--attempt <number>', 'of this attempt only')
    .option('--tail <lines>', 'the last lines only')
    .option('--since <duration>', 'only what is not older than this')
    .option('--timestamps', 'with the time of each line')
    .option('--raw', 'bytes as they are, also to a terminal; they may move its cursor')
    .action(
      act<Options>(async (context, [argument = ''], options) => {
        const client = await context.connect()
        const runId = await resolveRun(context, client, argument)
        const { step, attempt, tail, since } = options
        await printLogs(context, client, runId, {
          isFollowing: options.follow === true,
          hasTimestamps: options.timestamps === true,
          isRaw: options.raw === true,
          step: step ?? null,
          attempt:
            attempt === undefined ? null : parseCount('--attempt', attempt, { min: 1, max: 1_000_000 }),
          tailLineCount: tail === undefined ? null : parseCount('--tail', tail, { min: 0, max: 1_000_000 }),
          sinceMs: since === undefined ? null : Date.now() - parseDurationOption('--since', since),
        })
      }),
    )
}
