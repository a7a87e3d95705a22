import type { Command } from 'commander'
import { escapeLines } from '../escape-text.ts'
import { parseVersionedName } from '../parse-versioned-name.ts'
import type { Act } from '../program.ts'
import { showOne } from '../show-one.ts'

export function configure(command: Command, act: Act): void {
  command.argument('<workflow>', 'name, or name@version').action(
    act(async (context, [argument = '']) => {
      const client = await context.connect()
      const { name, query } = parseVersionedName(argument)
      const workflow = await client.workflows.get(name, query, context)
      showOne(context.output, workflow, {
        id: () => `${workflow.name}@${workflow.version}`,
        text: ({ text }) => context.output.line(escapeLines(text.trimEnd())),
      })
    }),
  )
}
