import { open } from 'node:fs/promises'
import type { Command } from 'commander'
import type { SwarmClient } from '../../client/client.ts'
import { toAbsolutePath } from '../../platform/paths.ts'
import { CliError } from '../cli-error.ts'
import type { CliContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { collectWords, parseInstant } from '../parse-options.ts'
import type { Act } from '../program.ts'
import { describeSystemError } from '../system-words.ts'

type TokenScope = Parameters<SwarmClient['tokens']['create']>[0]['scopes'][number]
type Options = { readonly scope: readonly string[]; readonly expires?: string; readonly save?: string }

export function configure(command: Command, act: Act): void {
  command
    .argument('<name>', 'what it is for')
    .requiredOption(
      '-s, --scope <words>',
      'read, tickets, claim, review, admin; with commas for more',
      collectWords,
    )
    .option('--expires <when>', 'instant, or duration from now such as 30d; else never')
    .option('--save <path>', 'write the secret into this new file, readable by its owner only')
    .action(
      act<Options>(async (context, [name = ''], { scope, expires, save }) => {
        const client = await context.connect()
        // Opened first: a secret that cannot be kept is not made.
        const file = save === undefined ? undefined : await createSecretFile(context, save)
        try {
          const { secret, ...token } = await client.tokens.create(
            {
              name,
              // The API knows the scopes and answers a wrong word with them.
              scopes: scope as TokenScope[],
              ...(expires === undefined ? {} : { expiresAt: parseInstant('--expires', expires, Date.now()) }),
            },
            context,
          )
          const { output } = context
          await file?.writeFile(`${secret}\n`)
          if (output.format === 'json') output.json(file === undefined ? { ...token, secret } : token)
          else if (output.format === 'ids') output.line(token.id)
          else if (file === undefined) output.line(secret)
          output.message(`${token.id} created; its secret is ${file ? `in ${save}` : 'shown this once'}`)
        } finally {
          await file?.close()
        }
      }),
    )
}

async function createSecretFile({ places }: CliContext, written: string) {
  const path = toAbsolutePath(written, places.workingDirectory, places)
  try {
    return await open(path, 'wx', 0o600)
  } catch (error) {
    throw new CliError(EXIT.usage, `cannot create ${path}: ${describeSystemError(error)}`, { cause: error })
  }
}
