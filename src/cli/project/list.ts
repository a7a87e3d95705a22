import type { Command } from 'commander'
import type { Act } from '../program.ts'
import { showList } from '../show-list.ts'

export function configure(command: Command, act: Act): void {
  command.action(
    act(async (context) => {
      const client = await context.connect()
      const list = await client.projects.list(context)
      showList(context, {
        rows: list.items,
        json: list,
        id: ({ key }) => key,
        columns: [
          { title: 'KEY', value: ({ key }) => key },
          { title: 'NAME', value: ({ name }) => name, isFlexible: true },
          { title: 'TICKETS', value: ({ ticketCount }) => String(ticketCount) },
          { title: 'FORGE', value: ({ forge }) => forge },
          { title: 'REPOSITORY', value: ({ repositoryUrl }) => repositoryUrl ?? '', isFlexible: true },
        ],
        emptyHint: 'no projects; create one: swarm project create WEB --repository /path/or/url',
      })
    }),
  )
}
