import type { CoordinatorControl } from '../../coordinator/control.ts'
import { checkReadySpec } from '../../rest-schema/operations/health.ts'
import type { Store } from '../../store/contract.ts'
import { operation } from '../operation.ts'
import { ApiProblem } from '../problem.ts'

export type CheckReadyDeps = {
  readonly store: Pick<Store, 'read'>
  readonly control: Pick<CoordinatorControl, 'health'>
}

/** Says nothing more than yes or no: it is open to everyone. A store that cannot be read is a no. */
export function checkReady({ store, control }: CheckReadyDeps) {
  return operation(checkReadySpec, async () => {
    const [{ isReady }] = await Promise.all([control.health(), store.read.findNextDueAt()])
    if (!isReady) throw new ApiProblem(503, 'not_ready', 'the coordinator takes no work')
    return { status: 200, body: { status: 'ok' as const } }
  })
}
