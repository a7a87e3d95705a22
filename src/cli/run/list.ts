import type { Command } from 'commander'
import { collectWords, parseCount } from '../parse-options.ts'
import type { Act } from '../program.ts'
import { resolveTicket } from '../resolve.ts'
import { showList } from '../show-list.ts'
import { runColumns } from './run-text.ts'

type Options = {
  readonly ticket?: string
  readonly status?: readonly string[]
  readonly limit: string
  readonly cursor?: string
}

export function configure(command: Command, act: Act): void {
  command
    .option('-t, --ticket <ticket>', 'of this ticket')
    .option('-s, --status <words>', 'queued, running, waiting, failed …; with commas for more', collectWords)
    .option('--limit <number>', 'runs at most, up to 200', '50')
    .option('--cursor <text>', 'go on where the list before ended')
    .action(
      act<Options>(async (context, _args, { ticket, status, limit, cursor }) => {
        const client = await context.connect()
        const page = await client.runs.list(
          {
            limit: parseCount('--limit', limit, { min: 1, max: 200 }),
            ...(ticket === undefined ? {} : { ticket: await resolveTicket(context, client, ticket) }),
            ...(status === undefined ? {} : { status }),
            ...(cursor === undefined ? {} : { cursor }),
          },
          context,
        )
        showList(context, {
          rows: page.items,
          json: page,
          id: ({ id }) => id,
          columns: runColumns(context, Date.now()),
          emptyHint: 'no runs',
          nextCursor: page.nextCursor,
        })
      }),
    )
}
