import type { Command } from 'commander'
import type { Act } from '../program.ts'
import { resolveRun } from '../resolve.ts'
import { showOne } from '../show-one.ts'
import { showRun } from './run-text.ts'

export function configure(command: Command, act: Act): void {
  command.argument('<run>', 'identifier, its beginning, or a ticket').action(
    act(async (context, [run = '']) => {
      const client = await context.connect()
      const found = await client.runs.get(await resolveRun(context, client, run), context)
      showOne(context.output, found, { id: ({ id }) => id, text: () => showRun(context, found) })
    }),
  )
}
