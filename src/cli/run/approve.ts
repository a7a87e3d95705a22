import type { Command } from 'commander'
import type { Act } from '../program.ts'
import { resolveRun } from '../resolve.ts'
import { showWait } from './wait-text.ts'

type Options = { readonly wait?: string; readonly message?: string }

export function configure(command: Command, act: Act): void {
  command
    .argument('<run>', 'identifier, its beginning, or a ticket')
    .option('--wait <id>', 'which of several open questions is meant')
    .option('-m, --message <text>', 'a word about it')
    .action(
      act<Options>(async (context, [run = ''], { wait, message }) => {
        const client = await context.connect()
        const runId = await resolveRun(context, client, run)
        const body = {
          ...(wait === undefined ? {} : { waitId: wait }),
          ...(message === undefined ? {} : { comment: message }),
        }
        showWait(context, await client.runs.approve(runId, body, context), 'approved')
      }),
    )
}
