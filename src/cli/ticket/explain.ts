import type { Command } from 'commander'
import { escapeLine } from '../escape-text.ts'
import type { Act } from '../program.ts'
import { resolveTicket } from '../resolve.ts'
import { showOne } from '../show-one.ts'

export function configure(command: Command, act: Act): void {
  command.argument('<ticket>', 'key, number or identifier').action(
    act(async (context, [ticket = '']) => {
      const client = await context.connect()
      const key = await resolveTicket(context, client, ticket)
      const explanation = await client.tickets.explain(key, context)
      const { rules, result } = explanation
      const { output } = context
      showOne(output, explanation, {
        id: () => (result.kind === 'routed' ? result.workflow : result.kind),
        text: () => {
          for (const rule of rules) {
            const mark = rule.isMatch ? output.colors.green('yes') : output.colors.dim('no ')
            output.line(`${mark}  ${escapeLine(rule.name)}: ${escapeLine(rule.why)}`)
          }
          if (rules.length > 0) output.line('')
          if (result.kind === 'unroutable') {
            output.line(`${key} is unroutable: ${escapeLine(result.detail)}`)
            return
          }
          const agent = result.agent === null ? '' : `, agent ${result.agent}`
          output.line(
            `${key} goes to ${escapeLine(`${result.workflow}${agent}, by the rule ${result.rule}`)}`,
          )
        },
      })
    }),
  )
}
