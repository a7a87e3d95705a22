import type { Command } from 'commander'
import type { Act } from '../program.ts'
import { resolvePullRequest } from '../resolve.ts'
import { showPullRequestChange } from './pr-text.ts'

export function configure(command: Command, act: Act): void {
  command
    .argument('<pr>', 'WEB#1, its ticket, or the beginning of its identifier')
    .option('-m, --message <text>', 'a word about it')
    .action(
      act<{ message?: string }>(async (context, [argument = ''], { message }) => {
        const client = await context.connect()
        const id = await resolvePullRequest(context, client, argument)
        const body = message === undefined ? {} : { comment: message }
        showPullRequestChange(context, await client.pullRequests.approve(id, body, context), 'approved')
      }),
    )
}
