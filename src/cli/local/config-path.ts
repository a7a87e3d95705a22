import type { Command } from 'commander'
import { readConfigFile } from '../../config/load-config.ts'
import { listConfigPaths } from '../../platform/paths.ts'
import { CliError } from '../cli-error.ts'
import { EXIT } from '../exit-codes.ts'
import type { Act } from '../program.ts'
import { showOne } from '../show-one.ts'

export function configure(command: Command, act: Act): void {
  command.action(
    act(async ({ environment, places, globals, output }) => {
      const found = await readConfigFile({ configPath: globals.config, environment, places })
      if (found === undefined) {
        const looked = listConfigPaths(environment, places).join(', ')
        const hint = 'write one: swarm init'
        throw new CliError(EXIT.notFound, `no configuration file; looked for ${looked}`, {
          hint,
          code: 'config_absent',
        })
      }
      const { file } = found
      showOne(output, { path: file }, { id: () => file, text: () => output.line(file) })
    }),
  )
}
