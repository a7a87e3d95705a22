import type { Command } from 'commander'
import { CliError } from '../cli-error.ts'
import { EXIT } from '../exit-codes.ts'
import type { Act } from '../program.ts'
import { readText } from '../read-text.ts'
import { resolveTicket } from '../resolve.ts'
import { showOne } from '../show-one.ts'

type Options = { readonly body?: string; readonly file?: string }

export function configure(command: Command, act: Act): void {
  command
    .argument('<ticket>', 'key, number or identifier')
    .argument('[text]', 'the comment; - reads standard input')
    .option('-b, --body <text>', 'the comment; - reads standard input')
    .option('-F, --file <path>', 'file with the comment; - reads standard input')
    .action(
      act<Options>(async (context, [ticket = '', argument], options) => {
        const text = await readText(context, { text: argument ?? options.body, file: options.file })
        if (text === undefined || text.trim() === '') {
          throw new CliError(EXIT.usage, 'the comment is empty', {
            hint: 'swarm ticket comment WEB-12 "Looks good"',
          })
        }
        const client = await context.connect()
        const key = await resolveTicket(context, client, ticket)
        const comment = await client.tickets.comment(key, { body: text }, context)
        showOne(context.output, comment, {
          id: ({ id }) => id,
          text: () => context.output.line(`${key} has a new comment`),
        })
      }),
    )
}
