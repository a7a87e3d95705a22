import { type FileHandle, open } from 'node:fs/promises'
import type { Environment } from '../platform/environment.ts'
import { listConfigPaths, type Places, toAbsolutePath } from '../platform/paths.ts'
import { ConfigError } from './config-error.ts'
import { type LoadedConfig, type Override, parseConfig } from './parse-config.ts'

const FILE_BYTES_MAX = 1024 * 1024

export type ConfigRequest = {
  /** `--config`; stronger than `SWARM_CONFIG`; must exist when given */
  readonly configPath?: string | undefined
  readonly environment: Environment
  readonly places: Places
  readonly flags?: readonly Override[]
}

/**
 * Finds, reads and checks the configuration. No file is fine as long as nobody named one.
 * @throws ConfigError
 */
export async function loadConfig(request: ConfigRequest): Promise<LoadedConfig> {
  const { environment, places, flags = [] } = request
  const found = await readConfigFile(request)
  return parseConfig({ text: found?.text ?? '', file: found?.file ?? null, environment, places, flags })
}

/** The configuration file that counts, with its content, or `undefined` when there is none. */
export async function readConfigFile(
  request: Omit<ConfigRequest, 'flags'>,
): Promise<{ file: string; text: string } | undefined> {
  const { environment, places } = request
  const named = request.configPath ?? (environment.SWARM_CONFIG || undefined)
  const origin = request.configPath === undefined ? 'environment SWARM_CONFIG' : 'flag --config'
  if (named !== undefined) {
    const file = toAbsolutePath(named, places.workingDirectory, places)
    const text = await readText(file)
    if (text !== undefined) return { file, text }
    const hint = 'write one with `swarm init`'
    throw new ConfigError('config_missing', [{ where: origin, message: `${file} does not exist`, hint }])
  }
  for (const file of listConfigPaths(environment, places)) {
    const text = await readText(file)
    if (text !== undefined) return { file, text }
  }
  return undefined
}

/** The content, or `undefined` when there is no such file. */
async function readText(file: string): Promise<string | undefined> {
  const refuse = (message: string, hint: string | null, cause?: unknown) =>
    new ConfigError('config_unreadable', [{ where: file, message, hint }], cause)
  let handle: FileHandle | undefined
  try {
    handle = await open(file, 'r')
    const found = await handle.stat()
    if (!found.isFile()) throw refuse('is not a file', null)
    if (found.size > FILE_BYTES_MAX) throw refuse(`is larger than ${FILE_BYTES_MAX} bytes`, null)
    // It decides how sandboxes are made and where they may connect to.
    if ((found.mode & 0o002) !== 0) throw refuse('can be changed by everyone', `run chmod o-w ${file}`)
    return await handle.readFile('utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (error instanceof ConfigError) throw error
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    const why = code === 'EACCES' ? 'permission denied' : (code ?? String(error))
    throw refuse(`cannot be read: ${why}`, 'check who owns it and its directories', error)
  } finally {
    await handle?.close()
  }
}
