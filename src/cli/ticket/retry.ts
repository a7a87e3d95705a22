import type { Command } from 'commander'
import type { Act } from '../program.ts'
import { resolveTicket } from '../resolve.ts'
import { waitForTicket } from '../wait-for-ticket.ts'
import { showTicketChange } from './ticket-text.ts'

export function configure(command: Command, act: Act): void {
  command
    .argument('<ticket>', 'key, number or identifier')
    .option('--wait', 'wait for its result, as `swarm run-ticket --wait`')
    .action(
      act<{ wait?: boolean }>(async (context, [ticket = ''], { wait }) => {
        const client = await context.connect()
        const key = await resolveTicket(context, client, ticket)
        const queued = await client.tickets.retry(key, context)
        if (wait === true) return await waitForTicket(context, client, queued)
        showTicketChange(context, queued, 'is in the queue again')
      }),
    )
}
