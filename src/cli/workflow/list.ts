import type { Command } from 'commander'
import { formatSince } from '../format.ts'
import type { Act } from '../program.ts'
import { showList } from '../show-list.ts'

export function configure(command: Command, act: Act): void {
  command.action(
    act(async (context) => {
      const client = await context.connect()
      const list = await client.workflows.list(context)
      showList(context, {
        rows: list.items,
        json: list,
        id: ({ name, version }) => `${name}@${version}`,
        columns: [
          { title: 'WORKFLOW', value: ({ name }) => name },
          { title: 'VERSION', value: ({ version }) => version },
          { title: 'SOURCE', value: ({ source }) => source },
          { title: 'AGE', value: ({ createdAt }) => formatSince(createdAt, Date.now()) },
        ],
        emptyHint: 'no workflows; register one: swarm workflow register my-workflow.yaml',
      })
    }),
  )
}
