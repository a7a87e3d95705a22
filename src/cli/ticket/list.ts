import type { Command } from 'commander'
import type { CliContext } from '../context.ts'
import { collectWords, parseCount } from '../parse-options.ts'
import type { Act } from '../program.ts'
import { resolveProject } from '../resolve.ts'
import { showList } from '../show-list.ts'
import { ticketColumns } from './ticket-text.ts'

type Options = {
  readonly project?: string
  readonly status?: readonly string[]
  readonly label?: readonly string[]
  readonly type?: readonly string[]
  readonly text?: string
  readonly limit?: string
  readonly cursor?: string
}

export function configure(command: Command, act: Act): void {
  command
    .option('-p, --project <key>', 'of this project; else SWARM_PROJECT, else of all')
    .option('-s, --status <words>', 'pending, running, review, failed …; with commas for more', collectWords)
    .option('-l, --label <words>', 'with all of these labels', collectWords)
    .option('--type <words>', 'of one of these types', collectWords)
    .option('--text <words>', 'with these words in title or body')
    .option('--limit <number>', 'tickets at most, up to 200', '50')
    .option('--cursor <text>', 'go on where the list before ended')
    .action(act<Options>((context, _args, options) => listTickets(context, options)))
}

/** Lists tickets, or only those that are dead letters. */
export async function listTickets(
  context: CliContext,
  options: Options & { dead?: boolean },
): Promise<undefined> {
  const client = await context.connect()
  const said = options.project ?? (context.environment.SWARM_PROJECT || undefined)
  const { status, label, type, text, cursor, dead } = options
  const page = await client.tickets.list(
    {
      limit: parseCount('--limit', options.limit ?? '50', { min: 1, max: 200 }),
      ...(said === undefined ? {} : { project: await resolveProject(context, client, said) }),
      ...(status === undefined ? {} : { status }),
      ...(label === undefined ? {} : { label }),
      ...(type === undefined ? {} : { type }),
      ...(text === undefined ? {} : { text }),
      ...(cursor === undefined ? {} : { cursor }),
      ...(dead === undefined ? {} : { dead }),
    },
    context,
  )
  showList(context, {
    rows: page.items,
    json: page,
    id: ({ key }) => key,
    columns: ticketColumns(context, Date.now()),
    emptyHint:
      dead === true ? 'no dead letters' : 'no tickets; create one: swarm ticket create "Fix the login"',
    nextCursor: page.nextCursor,
  })
}
