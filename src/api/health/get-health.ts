import type { CoordinatorControl } from '../../coordinator/control.ts'
import { getHealthSpec } from '../../rest-schema/operations/health.ts'
import type { Store } from '../../store/contract.ts'
import { operation } from '../operation.ts'
import { deriveHealth } from './derive-health.ts'

export type GetHealthDeps = {
  readonly store: Pick<Store, 'read' | 'now'>
  readonly control: Pick<CoordinatorControl, 'health'>
  readonly config: { readonly pendingAgeMaxMs: number }
}

export function getHealth({ store, control, config }: GetHealthDeps) {
  return operation(getHealthSpec, async () => {
    const [report, figures] = await Promise.all([control.health(), store.read.getFigures()])
    const { pendingAgeMaxMs } = config
    return { status: 200, body: deriveHealth(report, figures, { now: store.now(), pendingAgeMaxMs }) }
  })
}
