/** Retention, backup and measuring of the state directory, as the daemon has them. */
import type { ApiMaintenance } from './api/maintenance/maintenance-port.ts'
import type { Config } from './config/config.ts'
import { Maintenance } from './coordinator/maintenance/maintenance.ts'
import type { ForgeCatalogue } from './engine/ports.ts'
import { readDiskRoom } from './platform/disk.ts'
import type { Logger } from './platform/log.ts'
import { backUpState } from './state-backup.ts'
import type { AttemptLogs } from './store/attempt-log.ts'
import type { Store } from './store/contract.ts'

export function createStateCare(input: {
  readonly config: Config
  readonly store: Store
  readonly logs: AttemptLogs
  readonly forges: ForgeCatalogue
  readonly sweepSandboxes: () => Promise<unknown>
  readonly version: string
  readonly logger: Logger
}): { readonly maintenance: Maintenance; readonly api: ApiMaintenance } {
  const { config, store, version } = input
  const maintenance = new Maintenance({
    ...input,
    policy: config.retention,
    stateDir: config.stateDir,
    storePaths: toStorePaths(config),
  })
  return {
    maintenance,
    api: {
      collectGarbage: (options) => maintenance.collectGarbage(options),
      backUp: ({ path, hasLogs, signal: asked }) =>
        // In turn with retention, which must not remove what is being copied.
        maintenance.inTurn(asked, (signal) =>
          backUpState(config, store, { target: path, hasLogs, swarmVersion: version, signal }),
        ),
      async readDisk() {
        const { measuredAt = null, bytesByKind = {} } = maintenance.usage ?? {}
        return { ...(await readDiskRoom(config.stateDir)), measuredAt, bytesByKind }
      },
    },
  }
}

function toStorePaths({ store }: Config): readonly string[] {
  return store.kind === 'sqlite' ? [store.path, `${store.path}-wal`] : []
}
