import type { Command } from 'commander'
import { CliError } from '../../cli-error.ts'
import { EXIT } from '../../exit-codes.ts'
import type { Act } from '../../program.ts'
import { resolveProject, resolveTicket } from '../../resolve.ts'
import { showTicketChange } from '../ticket-text.ts'

type Options = { readonly all?: boolean; readonly project?: string }

export function configure(command: Command, act: Act): void {
  command
    .argument('[tickets...]', 'keys or identifiers')
    .option('--all', 'all dead letters')
    .option('-p, --project <key>', 'with --all: only those of this project')
    .action(
      act<Options>(async (context, tickets, options) => {
        if (tickets.length > 0 === (options.all === true)) {
          throw new CliError(EXIT.usage, 'name the tickets, or say --all', { hint: 'swarm ticket dead list' })
        }
        const client = await context.connect()
        const keys: string[] = []
        for (const ticket of tickets) keys.push(await resolveTicket(context, client, ticket))
        if (options.all === true) {
          const { project } = options
          const query =
            project === undefined ? {} : { project: await resolveProject(context, client, project) }
          // Gathered first: each retry takes one out of the list that is being read.
          for await (const { key } of client.tickets.listAll({ dead: true, ...query }, context))
            keys.push(key)
        }
        for (const key of keys) {
          showTicketChange(context, await client.tickets.retry(key, context), 'is in the queue again')
        }
        if (keys.length === 0) context.output.message('no dead letters')
      }),
    )
}
