import type { Command } from 'commander'
import type { SwarmClient } from '../client/client.ts'
import type { CliContext } from './context.ts'
import type { Act } from './program.ts'
import { resolveTicket } from './resolve.ts'
import { showTicketChange, type Ticket } from './ticket/ticket-text.ts'
import { waitForTicket } from './wait-for-ticket.ts'

export function configure(command: Command, act: Act): void {
  command
    .argument('<ticket>', 'key, number or identifier')
    .option('--wait', 'wait until it is over or needs a person; the exit code tells the result')
    .addHelpText(
      'after',
      '\nA draft becomes ready, a failed or canceled ticket is put back into the queue.\n' +
        'With --wait: 0 done, 1 failed or canceled, 6 waits for a person, 8 refused by a budget, 124 --timeout.',
    )
    .action(
      act<{ wait?: boolean }>(async (context, [argument = ''], { wait }) => {
        const client = await context.connect()
        const key = await resolveTicket(context, client, argument)
        const ticket = await makeReady(context, client, await client.tickets.get(key, context))
        if (wait === true) return await waitForTicket(context, client, ticket)
        showTicketChange(context, ticket, 'is on its way')
      }),
    )
}

async function makeReady(context: CliContext, client: SwarmClient, ticket: Ticket): Promise<Ticket> {
  const { key, status, version } = ticket
  if (status === 'failed' || status === 'canceled') return await client.tickets.retry(key, context)
  if (status === 'draft') return await client.tickets.update(key, version, { status: 'pending' }, context)
  return ticket
}
