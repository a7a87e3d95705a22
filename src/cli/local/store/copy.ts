import type { Command } from 'commander'
import { loadConfig } from '../../../config/load-config.ts'
import { parseStore, type StorePlace } from '../../../config/parse-store.ts'
import { loadSecrets } from '../../../config/secrets.ts'
import { copyStore } from '../../../main.ts'
import { toAbsolutePath } from '../../../platform/paths.ts'
import { CliError } from '../../cli-error.ts'
import type { CliContext } from '../../context.ts'
import { EXIT } from '../../exit-codes.ts'
import type { Act } from '../../program.ts'
import { startProgress } from '../../progress.ts'
import { showOne } from '../../show-one.ts'
import { toOverrides } from '../overrides.ts'
import { asCliError } from '../state-error.ts'

export function configure(command: Command, act: Act): void {
  command
    .argument('<from>', 'store that no daemon has open: sqlite:FILE or postgres://user@host:port/database')
    .argument('<to>', 'new file or empty database, written in the same way')
    .addHelpText(
      'after',
      '\nEvery row is copied and then compared, and all of it is kept or nothing. Only the store is copied: logs, mirrors' +
        '\nand agents stay in the state directory. The password of a database is the configured store-password when it is' +
        '\nthe configured store, else PGPASSWORD or the password file. Name the new store in the configuration afterwards.',
    )
    .action(
      act(async (context, [fromText = '', toText = '']) => {
        const { output, signal } = context
        const [from, to] = [await toPlace(context, fromText), await toPlace(context, toText)]
        const progress = startProgress(context.terminal, output)
        progress.status('copying every row, and comparing it')
        try {
          const copy = await copyStore(from, to, signal)
          progress.stop()
          showOne(output, copy, {
            id: (copied) => copied.to,
            text: (copied) => {
              for (const { name, rowCount } of copied.tables) {
                if (rowCount > 0) output.line(`${name}: ${rowCount}`)
              }
              output.line(`${copied.to} has the ${copied.rowCount} rows of ${copied.from}, each compared`)
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

async function toPlace(context: CliContext, text: string): Promise<StorePlace & { password?: string }> {
  const { places } = context
  const place = parseStore(text, (file) => toAbsolutePath(file, places.workingDirectory, places))
  if (typeof place === 'string') throw new CliError(EXIT.usage, `the place of a store ${place}`)
  if (place.kind === 'sqlite') return place
  const password = await findPassword(context, text)
  return { ...place, ...(password === undefined ? {} : { password }) }
}

async function findPassword(context: CliContext, text: string): Promise<string | undefined> {
  const { environment, places, globals } = context
  const { config, settings } = await loadConfig({
    configPath: globals.config,
    environment,
    places,
    flags: toOverrides(globals),
  })
  if (settings.store !== text) return undefined
  return (await loadSecrets(config, environment)).findStorePassword()?.reveal()
}
