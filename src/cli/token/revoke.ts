import type { Command } from 'commander'
import type { Act } from '../program.ts'
import { resolveToken } from '../resolve.ts'
import { showOne } from '../show-one.ts'

export function configure(command: Command, act: Act): void {
  command.argument('<token>', 'identifier, its beginning, or the name').action(
    act(async (context, [argument = '']) => {
      const client = await context.connect()
      const token = await client.tokens.revoke(await resolveToken(context, client, argument), context)
      showOne(context.output, token, {
        id: ({ id }) => id,
        text: ({ id }) => context.output.line(`${id} is revoked`),
      })
    }),
  )
}
