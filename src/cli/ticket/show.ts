import type { Command } from 'commander'
import { escapeLine } from '../escape-text.ts'
import { paintStatus } from '../format.ts'
import type { Act } from '../program.ts'
import { resolveTicket } from '../resolve.ts'
import { showText } from '../show-fields.ts'
import { showOne } from '../show-one.ts'
import { showTicket } from './ticket-text.ts'

export function configure(command: Command, act: Act): void {
  command.argument('<ticket>', 'key, number or identifier').action(
    act(async (context, [ticket = '']) => {
      const client = await context.connect()
      const key = await resolveTicket(context, client, ticket)
      const [found, comments, { dependsOn, dependents }] = await Promise.all([
        client.tickets.get(key, context),
        client.tickets.listComments(key, context),
        client.tickets.listDependencies(key, context),
      ])
      const { output } = context
      showOne(output, found, {
        id: () => found.key,
        json: {
          ...found,
          comments: comments.items,
          dependsOn: dependsOn.map((each) => each.key),
          dependents: dependents.map((each) => each.key),
        },
        text: () => {
          showTicket(context, found)
          for (const [name, others] of Object.entries({
            'waits for': dependsOn,
            'waited for by': dependents,
          })) {
            if (others.length === 0) continue
            const words = others.map(
              ({ key, status }) => `${key} ${paintStatus(status, status, output.colors)}`,
            )
            output.line(`\n${output.colors.dim(`${name}:`)} ${words.join(', ')}`)
          }
          for (const { author, createdAt, body } of comments.items) {
            output.line(`\n${output.colors.bold(`── ${escapeLine(author)}, ${createdAt}`)}`)
            showText(output, body)
          }
        },
      })
    }),
  )
}
