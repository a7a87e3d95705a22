import type { Command } from 'commander'
import type { ApiError } from '../../client/api-error.ts'
import { CliError } from '../cli-error.ts'
import { EXIT } from '../exit-codes.ts'
import type { Act } from '../program.ts'
import { readText } from '../read-text.ts'
import { showOne } from '../show-one.ts'
import { nameFile } from './name-file.ts'

export function configure(command: Command, act: Act): void {
  command.argument('<file>', 'YAML file; - reads standard input').action(
    act(async (context, [file = '']) => {
      const text = (await readText(context, { file })) ?? ''
      const client = await context.connect()
      const workflow = await client.workflows.register({ text }, context).catch((error) => {
        throw toNamed(error, file)
      })
      const name = `${workflow.name}@${workflow.version}`
      showOne(context.output, workflow, {
        id: () => name,
        text: () => context.output.line(`${name} registered`),
      })
    }),
  )
}

function toNamed(error: unknown, file: string): unknown {
  if (!(error instanceof Error) || error.name !== 'ApiError') return error
  const { code, detail } = error as ApiError
  if (code !== 'workflow_invalid') return error
  return new CliError(EXIT.usage, nameFile(detail, file), { code, cause: error })
}
