import type { Command } from 'commander'
import type { SwarmClient } from '../client/client.ts'
import { escapeLine } from './escape-text.ts'
import { formatElapsed } from './format.ts'
import { formatBytes } from './format-bytes.ts'
import type { Act } from './program.ts'
import { startProgress } from './progress.ts'
import { showFields } from './show-fields.ts'
import { showOne } from './show-one.ts'

type Options = { readonly dryRun?: boolean }
type Report = Awaited<ReturnType<SwarmClient['maintenance']['collectGarbage']>>

export function configure(command: Command, act: Act): void {
  command
    .option('-n, --dry-run', 'say what would be removed, remove nothing')
    .addHelpText(
      'after',
      '\nThe daemon does the same by itself every hour. What has not ended and work that was never pushed is kept;' +
        '\nhow long the rest is kept is configured: swarm config explain',
    )
    .action(
      act<Options>(async (context, _args, options) => {
        const { output } = context
        const client = await context.connect()
        const progress = startProgress(context.terminal, output)
        progress.status('looking for what has ended')
        let report: Report
        try {
          report = await client.maintenance.collectGarbage({ isDryRun: options.dryRun === true }, context)
        } finally {
          progress.stop()
        }
        showOne(output, report, {
          id: ({ eventCount }) => String(eventCount),
          text: () => {
            output.line(output.colors.bold(report.isDryRun ? 'would be removed' : 'removed'))
            showFields(output, toFields(report))
          },
        })
        for (const problem of report.problems) output.message(`warning: ${escapeLine(problem)}`)
      }),
    )
}

function toFields(report: Report): Parameters<typeof showFields>[1] {
  const { logs, artifacts, work } = report
  const parked = work.parkedCount === 0 ? '' : `; ${work.parkedCount} unpushed ones parked`
  return [
    ['events', report.eventCount],
    ['records of runs', report.runCount],
    ['logs', `${formatBytes(logs.bytes)} of ${logs.runCount} runs`],
    ['artifacts', `${formatBytes(artifacts.bytes)} of ${artifacts.runCount} runs`],
    ['names of work', `${work.deletedCount}${parked}`],
    ['mirrors packed', report.compactedMirrorCount],
    ['agent packages', report.packageCount],
    ['took', formatElapsed(report.durationMs)],
  ]
}
