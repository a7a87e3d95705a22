import type { Command } from 'commander'
import type { Act } from '../program.ts'
import { resolveTicket } from '../resolve.ts'
import { showTicketChange } from './ticket-text.ts'

export function configure(command: Command, act: Act): void {
  command
    .argument('<tickets...>', 'keys, numbers or identifiers')
    .option('-m, --message <text>', 'why')
    .action(
      act<{ message?: string }>(async (context, tickets, { message }) => {
        const client = await context.connect()
        for (const ticket of tickets) {
          const key = await resolveTicket(context, client, ticket)
          const body = message === undefined ? {} : { detail: message }
          const canceled = await client.tickets.cancel(key, body, context)
          const isOver = canceled.status === 'canceled'
          showTicketChange(context, canceled, isOver ? 'is over' : 'is asked to end')
        }
      }),
    )
}
