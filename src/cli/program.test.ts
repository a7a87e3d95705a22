import { Command } from 'commander'
import { expect, test } from 'vitest'
import { COMMANDS, type CommandSpec } from './commands.ts'
import type { Act } from './program.ts'

type Leaf = {
  readonly path: string
  readonly spec: CommandSpec & { load: () => Promise<{ configure: Configure }> }
}
type Configure = (command: Command, act: Act) => void

function listLeaves(specs: readonly CommandSpec[], path: string): Leaf[] {
  return specs.flatMap((spec) => {
    const name = `${path} ${spec.name}`.trim()
    return 'commands' in spec ? listLeaves(spec.commands, name) : [{ path: name, spec }]
  })
}

const GLOBAL = ['--json', '--quiet', '--url', '--token-file', '--config', '--state-dir', '--timeout', '-q']

test.each(listLeaves(COMMANDS, ''))(
  'swarm $path explains its arguments and options, and keeps off the common ones',
  async ({ spec }) => {
    const command = new Command(spec.name)
    let hasAction = false
    const { configure } = await spec.load()
    configure(command, () => {
      hasAction = true
      return async () => {}
    })
    expect(hasAction).toBe(true)
    for (const option of command.options) {
      expect(option.description, option.flags).not.toBe('')
      expect(GLOBAL).not.toContain(option.long)
      expect(GLOBAL).not.toContain(option.short)
    }
    for (const argument of command.registeredArguments) expect(argument.description).not.toBe('')
  },
  // The first command that uses the daemon's parts loads nearly all of the program.
  30_000,
)
