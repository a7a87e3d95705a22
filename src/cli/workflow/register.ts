import type { Command } from 'commander'
import type { Act } from '../program.ts'
import { readText } from '../read-text.ts'
import { showOne } from '../show-one.ts'

export function configure(command: Command, act: Act): void {
  command.argument('<file>', 'YAML file; - reads standard input').action(
    act(async (context, [file = '']) => {
      const text = (await readText(context, { file })) ?? ''
      const client = await context.connect()
      const workflow = await client.workflows.register({ text }, context)
      const name = `${workflow.name}@${workflow.version}`
      showOne(context.output, workflow, {
        id: () => name,
        text: () => context.output.line(`${name} registered`),
      })
    }),
  )
}
