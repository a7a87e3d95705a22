import type { Command } from 'commander'
import type { SwarmClient } from '../../client/client.ts'
import type { CliContext } from '../context.ts'
import { collectWords, parseCount } from '../parse-options.ts'
import type { Act } from '../program.ts'
import { resolveProject, resolveTicket } from '../resolve.ts'
import { showList } from '../show-list.ts'
import { pullRequestColumns } from './pr-text.ts'

type Options = {
  readonly project?: string
  readonly ticket?: string
  readonly status?: readonly string[]
  readonly limit: string
  readonly cursor?: string
}

export function configure(command: Command, act: Act): void {
  command
    .option('-p, --project <key>', 'of this project; else SWARM_PROJECT, else of all')
    .option('-t, --ticket <ticket>', 'of this ticket')
    .option('-s, --status <words>', 'open, merged, closed; with commas for more', collectWords)
    .option('--limit <number>', 'pull requests at most, up to 200', '50')
    .option('--cursor <text>', 'go on where the list before ended')
    .action(
      act<Options>(async (context, _args, { project, ticket, status, limit, cursor }) => {
        const client = await context.connect()
        const said = project ?? (context.environment.SWARM_PROJECT || undefined)
        const page = await client.pullRequests.list(
          {
            limit: parseCount('--limit', limit, { min: 1, max: 200 }),
            ...(said === undefined ? {} : { project: await resolveProject(context, client, said) }),
            ...(ticket === undefined ? {} : { ticket: await resolveTicket(context, client, ticket) }),
            ...(status === undefined ? {} : { status }),
            ...(cursor === undefined ? {} : { cursor }),
          },
          context,
        )
        const projectKeys = await findProjectKeys(context, client, page.items.length)
        showList(context, {
          rows: page.items,
          json: page,
          id: ({ id }) => id,
          columns: pullRequestColumns(context, { nowMs: Date.now(), projectKeys }),
          emptyHint: 'no pull requests',
          nextCursor: page.nextCursor,
        })
      }),
    )
}

/** Keys by identifier, for a table; programs get identifiers. */
async function findProjectKeys(
  context: CliContext,
  client: SwarmClient,
  rowCount: number,
): Promise<ReadonlyMap<string, string>> {
  if (rowCount === 0 || context.output.format !== 'text') return new Map()
  const { items } = await client.projects.list(context)
  return new Map(items.map(({ id, key }) => [id, key]))
}
