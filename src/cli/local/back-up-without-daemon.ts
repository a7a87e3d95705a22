import { stat } from 'node:fs/promises'
import { loadConfig } from '../../config/load-config.ts'
import { backUpStopped, readVersion } from '../../main.ts'
import { CliError } from '../cli-error.ts'
import type { CliContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { toOverrides } from './overrides.ts'
import { asCliError } from './state-error.ts'

/** Copies the state directory while no daemon serves it. */
export async function backUpWithoutDaemon(context: CliContext, target: string, hasLogs: boolean) {
  const { environment, places, globals, signal } = context
  const { config } = await loadConfig({
    configPath: globals.config,
    environment,
    places,
    flags: toOverrides(globals),
  })
  if (config.store.kind === 'sqlite') await assertThere(config.store.path)
  try {
    const report = await backUpStopped(config, {
      target,
      hasLogs,
      swarmVersion: await readVersion(),
      signal,
    })
    return { ...report, createdAt: new Date(report.createdAt).toISOString() }
  } catch (error) {
    throw asCliError(error)
  }
}

async function assertThere(path: string): Promise<void> {
  if ((await stat(path).catch(() => undefined)) !== undefined) return
  const hint = 'is it the right state directory? swarm config explain'
  throw new CliError(EXIT.notFound, `there is nothing to back up: ${path} does not exist`, { hint })
}
