import type { Command } from 'commander'
import { CliError } from './cli-error.ts'
import { EXIT, EXIT_MEANINGS } from './exit-codes.ts'
import type { Act } from './program.ts'

export function configure(command: Command, act: Act): void {
  command.argument('[words...]', 'a command, `exit-codes` or `environment`').action(
    act(async ({ output }, words) => {
      if (words[0] === 'exit-codes') return showExitCodes(output)
      if (words[0] === 'environment')
        return (await import('./local/show-environment.ts')).showEnvironment(output)
      const root = command.parent
      if (root === null) throw new Error('mistake: help has no program')
      const found = words.reduce<Command | undefined>(
        (parent, word) => parent?.commands.find((each) => each.name() === word),
        root,
      )
      if (found === undefined) {
        throw new CliError(EXIT.usage, `there is no command "${words.join(' ')}"`, { hint: 'swarm help' })
      }
      // Parsed anew, so that the command's own file is loaded.
      await root.parseAsync([...words, '--help'], { from: 'user' })
    }),
  )
}

type Output = Parameters<Parameters<Act>[0]>[0]['output']

function showExitCodes(output: Output): undefined {
  const rows = Object.entries(EXIT).map(([name, code]) => ({
    code,
    name,
    meaning: EXIT_MEANINGS[name as keyof typeof EXIT],
  }))
  if (output.format === 'json') return output.json(rows) as undefined
  for (const { code, meaning } of rows) output.line(`${String(code).padStart(3)}  ${meaning}`)
}
