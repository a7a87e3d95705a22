import type { Command } from 'commander'
import type { Act } from '../program.ts'
import { showProject } from './project-text.ts'

export function configure(command: Command, act: Act): void {
  command.argument('<key>', 'key or identifier').action(
    act(async (context, [argument = '']) => {
      const client = await context.connect()
      const key = argument.startsWith('prj_') ? argument : argument.toUpperCase()
      showProject(context, await client.projects.get(key, context))
    }),
  )
}
