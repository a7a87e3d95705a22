import type { Command } from 'commander'
import { formatSince } from '../format.ts'
import type { Act } from '../program.ts'
import { showList } from '../show-list.ts'

export function configure(command: Command, act: Act): void {
  command.action(
    act(async (context) => {
      const client = await context.connect()
      const list = await client.agents.list(context)
      showList(context, {
        rows: list.items,
        json: list,
        id: ({ name, version }) => `${name}@${version}`,
        columns: [
          { title: 'AGENT', value: ({ name }) => name },
          { title: 'VERSION', value: ({ version }) => version },
          { title: 'SOURCE', value: ({ source }) => source },
          {
            title: 'DESCRIPTION',
            value: ({ manifest }) => (typeof manifest.description === 'string' ? manifest.description : ''),
            isFlexible: true,
          },
          { title: 'AGE', value: ({ createdAt }) => formatSince(createdAt, Date.now()) },
        ],
        emptyHint: 'no agents; register one: swarm agent register ./my-agent',
      })
    }),
  )
}
