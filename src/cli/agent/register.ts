import type { Command } from 'commander'
import { toAbsolutePath } from '../../platform/paths.ts'
import type { Act } from '../program.ts'
import { showOne } from '../show-one.ts'

export function configure(command: Command, act: Act): void {
  command.argument('<directory>', 'folder with agent.yaml, on the host of the daemon').action(
    act(async (context, [directory = '']) => {
      const { places } = context
      const path = toAbsolutePath(directory, places.workingDirectory, places)
      const client = await context.connect()
      const agent = await client.agents.register({ path }, context)
      const name = `${agent.name}@${agent.version}`
      showOne(context.output, agent, {
        id: () => name,
        text: () => context.output.line(`${name} registered`),
      })
    }),
  )
}
