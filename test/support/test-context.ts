import { loadConfig } from '../../src/config/load-config.ts'
import { loadSecrets } from '../../src/config/secrets.ts'
import { type Context, createContext } from '../../src/context.ts'
import { createLogger } from '../../src/platform/log.ts'
import type { SandboxDriver } from '../../src/sandbox/contract.ts'
import { writeTestConfig } from './test-swarm.ts'

/** Everything but the servers, on a folder made by `makeTestDirectory`. The caller stops the coordinator, then closes. */
export async function createTestContext(
  directory: string,
  options: { config?: string; driver?: SandboxDriver } = {},
): Promise<Context> {
  const configPath = await writeTestConfig(directory, options.config ?? '')
  const places = { home: directory, workingDirectory: directory, isRoot: true }
  const { config } = await loadConfig({ configPath, environment: {}, places })
  return await createContext({
    config,
    secrets: await loadSecrets(config, {}),
    logger: createLogger({ level: 'silent' }),
    version: 'test',
    guestDirectory: '/nowhere: a driver is given',
    ...(options.driver === undefined ? {} : { overrides: { driver: options.driver } }),
  })
}
