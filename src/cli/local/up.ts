import type { Command } from 'commander'
import { loadConfig } from '../../config/load-config.ts'
import type { Act } from '../program.ts'
import { toOverrides } from './overrides.ts'

type Options = { readonly detach?: boolean; readonly wait?: boolean; readonly port?: string }

export function configure(command: Command, act: Act): void {
  command
    .option('-d, --detach', 'in the background; returns when it answers')
    .option('--port <number>', 'TCP port of the API; 0 any free one, none for the unix socket only')
    .option('--wait', 'the first signal waits for running work instead of leaving it to the next start')
    .addHelpText(
      'after',
      '\nSIGTERM or Ctrl-C: claims no more and leaves running sandboxes to be adopted by the next start.' +
        '\nSIGUSR2 (swarm down --wait): claims no more and waits for running work. A second signal: now.',
    )
    .action(
      act<Options>(async (context, _args, options) => {
        const { environment, places, globals } = context
        const loaded = await loadConfig({
          configPath: globals.config,
          environment,
          places,
          flags: toOverrides(globals, options),
        })
        for (const warning of loaded.warnings) context.output.message(`warning: ${warning}`)
        if (options.detach === true) {
          const { startDetached } = await import('./start-detached.ts')
          return await startDetached(context, loaded.config, options)
        }
        const { serve } = await import('./serve.ts')
        return await serve(context, loaded.config, { stopMode: options.wait === true ? 'wait' : 'drain' })
      }),
    )
}
