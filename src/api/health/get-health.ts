import type { CoordinatorControl } from '../../coordinator/control.ts'
import { getHealthSpec } from '../../rest-schema/operations/health.ts'
import type { Store } from '../../store/contract.ts'
import type { ApiMaintenance } from '../maintenance/maintenance-port.ts'
import { operation } from '../operation.ts'
import { deriveHealth } from './derive-health.ts'

export type GetHealthDeps = {
  readonly store: Pick<Store, 'read' | 'now'>
  readonly control: Pick<CoordinatorControl, 'health'>
  readonly maintenance?: Pick<ApiMaintenance, 'readDisk'> | undefined
  readonly config: { readonly pendingAgeMaxMs: number }
}

export function getHealth(deps: GetHealthDeps) {
  return operation(getHealthSpec, async () => ({ status: 200, body: await readHealth(deps) }))
}

export async function readHealth({ store, control, maintenance, config }: GetHealthDeps) {
  const [report, figures, disk] = await Promise.all([
    control.health(),
    store.read.getFigures(),
    maintenance?.readDisk(),
  ])
  const { pendingAgeMaxMs } = config
  return deriveHealth(report, figures, { now: store.now(), pendingAgeMaxMs }, disk)
}
