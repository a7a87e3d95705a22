import type { Command } from 'commander'
import { toAbsolutePath } from '../../platform/paths.ts'
import type { Act } from '../program.ts'
import { showValidation } from '../show-validation.ts'

export function configure(command: Command, act: Act): void {
  command.argument('<directory>', 'folder with agent.yaml, on the host of the daemon').action(
    act(async (context, [directory = '']) => {
      const { places } = context
      const path = toAbsolutePath(directory, places.workingDirectory, places)
      const client = await context.connect()
      return showValidation(context, path, await client.agents.validate({ path }, context))
    }),
  )
}
