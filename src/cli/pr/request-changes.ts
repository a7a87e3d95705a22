import type { Command } from 'commander'
import { CliError } from '../cli-error.ts'
import { EXIT } from '../exit-codes.ts'
import type { Act } from '../program.ts'
import { readText } from '../read-text.ts'
import { resolvePullRequest } from '../resolve.ts'
import { showPullRequestChange } from './pr-text.ts'

type Options = { readonly message?: string; readonly file?: string }

export function configure(command: Command, act: Act): void {
  command
    .argument('<pr>', 'WEB#1, its ticket, or the beginning of its identifier')
    .option('-m, --message <text>', 'what is to be changed; - reads standard input')
    .option('-F, --file <path>', 'file with it; - reads standard input')
    .action(
      act<Options>(async (context, [argument = ''], { message, file }) => {
        const comment = await readText(context, { text: message, file })
        if (comment === undefined || comment.trim() === '') {
          throw new CliError(EXIT.usage, 'say what is to be changed', { hint: 'add -m "Please …"' })
        }
        const client = await context.connect()
        const id = await resolvePullRequest(context, client, argument)
        const changed = await client.pullRequests.requestChanges(id, { comment }, context)
        showPullRequestChange(context, changed, 'went back to the agent')
      }),
    )
}
