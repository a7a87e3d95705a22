import type { Command } from 'commander'
import { explainConfig } from '../../config/explain-config.ts'
import { loadConfig } from '../../config/load-config.ts'
import type { Act } from '../program.ts'
import { showList } from '../show-list.ts'
import { toOverrides } from './overrides.ts'

export function configure(command: Command, act: Act): void {
  command
    .addHelpText('after', '\nSecrets are shown as where they are read from, never as what they are.')
    .action(
      act(async (context) => {
        const { environment, places, globals } = context
        const loaded = await loadConfig({
          configPath: globals.config,
          environment,
          places,
          flags: toOverrides(globals),
        })
        const rows = explainConfig(loaded)
        for (const warning of loaded.warnings) context.output.message(`warning: ${warning}`)
        showList(context, {
          rows,
          json: { file: loaded.file, settings: rows, warnings: loaded.warnings },
          id: ({ setting }) => setting,
          columns: [
            { title: 'SETTING', value: ({ setting }) => setting },
            {
              title: 'VALUE',
              value: ({ value }) => (typeof value === 'string' ? value : JSON.stringify(value)),
              isFlexible: true,
            },
            { title: 'FROM', value: ({ origin }) => origin },
          ],
          emptyHint: '',
        })
        if (loaded.file === null) context.output.message('no configuration file: write one with `swarm init`')
      }),
    )
}
