import type { Command } from 'commander'
import type { Act } from '../program.ts'
import { type DemoOptions, runDemo } from './demo/demo.ts'

export function configure(command: Command, act: Act): void {
  command
    .option('--model', 'your configured model instead of the scripted one')
    .option('--install', 'install what this host lacks, with sudo where needed')
    .option('--clean', 'leave nothing behind')
    .addHelpText('after', '\nExit code 0 only when everything that it shows really happened.')
    .action(act<DemoOptions>((context, _args, options) => runDemo(context, options)))
}
