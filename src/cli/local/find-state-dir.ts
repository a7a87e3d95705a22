import { dirname } from 'node:path'
import { ConfigError } from '../../config/config-error.ts'
import { readConfigFile } from '../../config/load-config.ts'
import { parseYamlTree } from '../../config/yaml-tree.ts'
import { defaultStateDir, toAbsolutePath } from '../../platform/paths.ts'
import type { CliContext } from '../context.ts'

/**
 * Where the daemon of this host keeps its state: `--state-dir`, `SWARM_STATE_DIR`, the configuration file, the
 * default. Mistakes elsewhere in the file do not matter here: the daemon runs on what it once read.
 */
export async function findStateDir(context: CliContext): Promise<string> {
  const { environment, places, globals } = context
  const said = findSaid(context)
  if (said !== undefined) return said
  const found = await readConfigFile({ configPath: globals.config, environment, places })
  if (found === undefined) return defaultStateDir(environment, places)
  const { value, problems } = parseYamlTree(found.text, found.file)
  if (problems.length > 0) throw new ConfigError('config_invalid', problems)
  const written = (value as { 'state-dir'?: unknown })['state-dir']
  if (typeof written !== 'string') return defaultStateDir(environment, places)
  return toAbsolutePath(written, dirname(found.file), places)
}

type Said = Pick<CliContext, 'environment' | 'places'> & {
  readonly globals: Pick<CliContext['globals'], 'stateDir'>
}

/** Of a configuration that is only now written: what others say, the machine's perhaps, is not for this one. */
export function toNewStateDir(context: Said): string {
  return findSaid(context) ?? defaultStateDir(context.environment, context.places)
}

function findSaid({ environment, places, globals }: Said): string | undefined {
  const said = globals.stateDir ?? (environment.SWARM_STATE_DIR || undefined)
  return said === undefined ? undefined : toAbsolutePath(said, places.workingDirectory, places)
}
