import type { Command } from 'commander'
import type { Act } from '../../program.ts'
import { listTickets } from '../list.ts'

type Options = { readonly project?: string; readonly limit?: string; readonly cursor?: string }

export function configure(command: Command, act: Act): void {
  command
    .option('-p, --project <key>', 'of this project; else SWARM_PROJECT, else of all')
    .option('--limit <number>', 'tickets at most, up to 200', '50')
    .option('--cursor <text>', 'go on where the list before ended')
    .action(act<Options>((context, _args, options) => listTickets(context, { ...options, dead: true })))
}
