import type { Command } from 'commander'
import { CliError } from './cli-error.ts'
import { toBashCompletion, toFishCompletion, toZshCompletion, type WordsAt } from './completion-script.ts'
import { EXIT } from './exit-codes.ts'
import type { Act } from './program.ts'

const SHELLS: Readonly<Record<string, (words: readonly WordsAt[]) => string>> = {
  bash: toBashCompletion,
  zsh: toZshCompletion,
  fish: toFishCompletion,
}

export function configure(command: Command, act: Act): void {
  command
    .argument('<shell>', 'bash, zsh or fish')
    .addHelpText(
      'after',
      '\n  bash: source <(swarm completion bash)\n  zsh:  source <(swarm completion zsh)\n  fish: swarm completion fish | source',
    )
    .action(
      act(async ({ output, loadAllCommands }, [shell = '']) => {
        const toScript = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined
        if (toScript === undefined || command.parent === null) {
          throw new CliError(EXIT.usage, `there is no completion for "${shell}"`, {
            hint: 'bash, zsh or fish',
          })
        }
        await loadAllCommands()
        await output.bytes(toScript(listWords(command.parent, [])))
      }),
    )
}

/** For every command what may follow it. */
function listWords(command: Command, path: readonly string[]): WordsAt[] {
  const commands = command.commands.map((each) => ({ word: each.name(), summary: each.summary() }))
  const options = command.options.flatMap(({ long, description }) =>
    long === undefined || long === null ? [] : [{ word: long, summary: description }],
  )
  const below = command.commands.flatMap((each) => listWords(each, [...path, each.name()]))
  return [{ path, words: [...commands, ...options] }, ...below]
}
