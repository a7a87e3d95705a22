import type { Command } from 'commander'
import type { Act } from '../program.ts'
import { resolvePullRequest } from '../resolve.ts'
import { showOne } from '../show-one.ts'
import { showPullRequest } from './pr-text.ts'

export function configure(command: Command, act: Act): void {
  command.argument('<pr>', 'WEB#1, its ticket, or the beginning of its identifier').action(
    act(async (context, [argument = '']) => {
      const client = await context.connect()
      const found = await client.pullRequests.get(
        await resolvePullRequest(context, client, argument),
        context,
      )
      showOne(context.output, found, { id: ({ id }) => id, text: () => showPullRequest(context, found) })
    }),
  )
}
