import type { Command } from 'commander'
import { loadConfig } from '../../config/load-config.ts'
import { restoreState } from '../../main.ts'
import { toAbsolutePath } from '../../platform/paths.ts'
import type { Act } from '../program.ts'
import { startProgress } from '../progress.ts'
import { showOne } from '../show-one.ts'
import { toOverrides } from './overrides.ts'
import { asCliError } from './state-error.ts'

export function configure(command: Command, act: Act): void {
  command
    .argument('<path>', 'folder that swarm backup made')
    .addHelpText(
      'after',
      '\nThe state directory must be empty or absent, and every file of the backup is checked before anything is put' +
        '\nthere. Stop the daemon that the backup was made of for good: two would do the same work twice.',
    )
    .action(
      act(async (context, [argument = '']) => {
        const { environment, places, globals, output, signal } = context
        const { config } = await loadConfig({
          configPath: globals.config,
          environment,
          places,
          flags: toOverrides(globals),
        })
        const source = toAbsolutePath(argument, places.workingDirectory, places)
        const progress = startProgress(context.terminal, output)
        progress.status(`restoring to ${config.stateDir}`)
        try {
          const restored = await restoreState(config, source, signal)
          progress.stop()
          showOne(output, restored, {
            id: ({ stateDir }) => stateDir,
            text: ({ stateDir, createdAt, fileCount, lastEventSeq }) => {
              output.line(
                `${stateDir} is as it was at ${createdAt}: ${fileCount} files, events up to ${lastEventSeq}`,
              )
              const place = globals.stateDir === undefined ? '' : ` --state-dir ${stateDir}`
              output.message(`start it with: swarm up --detach${place}`)
            },
          })
        } catch (error) {
          throw asCliError(error)
        } finally {
          progress.stop()
        }
      }),
    )
}
