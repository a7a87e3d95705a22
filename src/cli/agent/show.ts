import type { Command } from 'commander'
import { parseVersionedName } from '../parse-versioned-name.ts'
import type { Act } from '../program.ts'
import { showFields, showText } from '../show-fields.ts'
import { showOne } from '../show-one.ts'

export function configure(command: Command, act: Act): void {
  command.argument('<agent>', 'name, or name@version').action(
    act(async (context, [argument = '']) => {
      const client = await context.connect()
      const { name, query } = parseVersionedName(argument)
      const agent = await client.agents.get(name, query, context)
      const { output } = context
      showOne(output, agent, {
        id: () => `${agent.name}@${agent.version}`,
        text: () => {
          output.line(output.colors.bold(`${agent.name}@${agent.version}`))
          showFields(output, [
            ['source', agent.source],
            ['digest', agent.digest],
            ['registered', agent.createdAt],
          ])
          showText(output, JSON.stringify(agent.manifest, null, 2))
        },
      })
    }),
  )
}
