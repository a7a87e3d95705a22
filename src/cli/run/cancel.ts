import type { Command } from 'commander'
import type { Act } from '../program.ts'
import { resolveRun } from '../resolve.ts'
import { showOne } from '../show-one.ts'

export function configure(command: Command, act: Act): void {
  command.argument('<run>', 'identifier, its beginning, or a ticket').action(
    act(async (context, [run = '']) => {
      const client = await context.connect()
      const canceled = await client.runs.cancel(await resolveRun(context, client, run), context)
      const { output } = context
      showOne(output, canceled, {
        id: ({ id }) => id,
        text: ({ id, status }) => output.line(`${id} is over or will be at once (${status})`),
      })
    }),
  )
}
