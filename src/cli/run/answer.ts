import type { Command } from 'commander'
import { CliError } from '../cli-error.ts'
import { EXIT } from '../exit-codes.ts'
import type { Act } from '../program.ts'
import { readText } from '../read-text.ts'
import { resolveRun } from '../resolve.ts'
import { showWait } from './wait-text.ts'

type Options = { readonly file?: string; readonly wait?: string }

export function configure(command: Command, act: Act): void {
  command
    .argument('<run>', 'identifier, its beginning, or a ticket')
    .argument('[text]', 'the answer; - reads standard input')
    .option('-F, --file <path>', 'file with the answer; - reads standard input')
    .option('--wait <id>', 'which of several open questions is meant')
    .action(
      act<Options>(async (context, [run = '', argument], { file, wait }) => {
        const answer = await readText(context, { text: argument, file })
        if (answer === undefined || answer.trim() === '') {
          throw new CliError(EXIT.usage, 'the answer is empty', {
            hint: 'swarm run answer WEB-12 "Use the second one"',
          })
        }
        const client = await context.connect()
        const runId = await resolveRun(context, client, run)
        const body = { answer, ...(wait === undefined ? {} : { waitId: wait }) }
        showWait(context, await client.runs.answer(runId, body, context), 'answered')
      }),
    )
}
