import type { Command } from 'commander'
import type { Act } from '../program.ts'
import { resolvePullRequest } from '../resolve.ts'
import { showOutcome } from './pr-text.ts'

/** How long the forge is waited for, `ms` */
const WAIT_MS = 30_000

export function configure(command: Command, act: Act): void {
  command.argument('<pr>', 'WEB#1, its ticket, or the beginning of its identifier').action(
    act(async (context, [argument = '']) => {
      const client = await context.connect()
      const id = await resolvePullRequest(context, client, argument)
      return showOutcome(context, await client.pullRequests.close(id, { waitMs: WAIT_MS }, context), 'closed')
    }),
  )
}
