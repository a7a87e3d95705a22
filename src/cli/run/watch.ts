import type { Command } from 'commander'
import type { SwarmClient } from '../../client/client.ts'
import type { CliContext } from '../context.ts'
import { formatMilestone } from '../event-text.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Act } from '../program.ts'
import { resolveRun } from '../resolve.ts'
import { type RunDetail, showRun } from './run-text.ts'

const ENDS = ['run.succeeded', 'run.failed', 'run.canceled']

export function configure(command: Command, act: Act): void {
  command
    .argument('<run>', 'identifier, its beginning, or a ticket')
    .option('--exit-status', 'exit with 1 when it failed or was canceled')
    .action(
      act<{ exitStatus?: boolean }>(async (context, [argument = ''], { exitStatus }) => {
        const client = await context.connect()
        const runId = await resolveRun(context, client, argument)
        const run = await followRun(context, client, runId)
        if (context.output.format === 'ids') context.output.line(run.id)
        else if (context.output.format === 'text') showRun(context, run)
        return toExitCode(run, exitStatus === true)
      }),
    )
}

/** Shows all that happened in the run, and what happens until it is over. */
async function followRun(context: CliContext, client: SwarmClient, runId: string): Promise<RunDetail> {
  const { output, signal } = context
  // A stream waits for a daemon that is away; here one is wanted that answers.
  await client.runs.get(runId, context)
  for await (const event of client.events.watch({ run: runId, after: 0, signal })) {
    if (output.format === 'json') output.jsonLine(event)
    else if (output.format === 'text') output.line(formatMilestone(event, output.colors))
    if (ENDS.includes(event.type)) break
  }
  signal.throwIfAborted()
  return await client.runs.get(runId, context)
}

function toExitCode({ status }: RunDetail, isAsked: boolean): ExitCode {
  return isAsked && status !== 'succeeded' ? EXIT.failed : EXIT.ok
}
