import type { Config } from '../../../config/config.ts'
import { ConfigError } from '../../../config/config-error.ts'
import type { LoadedConfig } from '../../../config/parse-config.ts'
import { loadSecrets } from '../../../config/secrets.ts'
import type { Environment } from '../../../platform/environment.ts'
import { type Check, fail, ok, warn } from './check.ts'

/** Whether the configuration can be used; without one the checks that need it are left out. */
export async function checkConfig(
  load: () => Promise<LoadedConfig>,
): Promise<{ check: Check; loaded: LoadedConfig | undefined }> {
  try {
    const loaded = await load()
    const [warning] = loaded.warnings
    if (warning !== undefined) return { check: warn('configuration', warning, 'unset it'), loaded }
    return { check: ok('configuration', loaded.file ?? 'no file, defaults hold'), loaded }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const [first, ...others] = error.message.split('\n')
    const more = others.length === 0 ? '' : ` (and ${others.length} more)`
    return { check: fail('configuration', `${first}${more}`, 'swarm config explain'), loaded: undefined }
  }
}

/** Whether every key and credential can be had; none is printed. */
export async function checkSecrets(config: Config, environment: Environment): Promise<Check[]> {
  const secrets = await loadSecrets(config, environment)
  const missing = new Map(secrets.missing.map(({ setting, problem }) => [setting, problem]))
  const wanted = [
    ...config.models.flatMap(({ name, key }) => (key === null ? [] : [`models.${name}.key`])),
    ...config.forges.flatMap(({ name, credential }) =>
      credential === null ? [] : [`forges.${name}.credential`],
    ),
  ]
  return wanted.map((setting) => {
    const problem = missing.get(setting)
    if (problem === undefined) return ok(setting, 'is set')
    const [what, fix] = problem.split(': ')
    return warn(setting, what ?? problem, fix ?? 'see the configuration')
  })
}
