import type { Command } from 'commander'
import { escapeLines } from '../escape-text.ts'
import type { Colors } from '../output.ts'
import type { Act } from '../program.ts'
import { resolvePullRequest } from '../resolve.ts'

export function configure(command: Command, act: Act): void {
  command.argument('<pr>', 'WEB#1, its ticket, or the beginning of its identifier').action(
    act(async (context, [argument = '']) => {
      const client = await context.connect()
      const id = await resolvePullRequest(context, client, argument)
      const diff = await client.pullRequests.diff(id, context)
      const { output, terminal } = context
      if (output.format === 'json') output.json({ id, diff })
      // A pipe gets it byte for byte, so that `git apply` can read it.
      else if (terminal.isStdoutTerminal)
        for (const line of diff.split('\n')) output.line(paint(line, output.colors))
      else await output.bytes(diff)
    }),
  )
}

function paint(line: string, colors: Colors): string {
  const text = escapeLines(line)
  if (/^(\+\+\+|---|diff |index )/.test(line)) return colors.bold(text)
  if (line.startsWith('@@')) return colors.cyan(text)
  if (line.startsWith('+')) return colors.green(text)
  return line.startsWith('-') ? colors.red(text) : text
}
