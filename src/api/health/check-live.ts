import type { CoordinatorControl } from '../../coordinator/control.ts'
import { checkLiveSpec } from '../../rest-schema/operations/health.ts'
import { operation } from '../operation.ts'
import { ApiProblem } from '../problem.ts'

/** Says nothing more than yes or no: it is open to everyone. */
export function checkLive({ control }: { readonly control: Pick<CoordinatorControl, 'health'> }) {
  return operation(checkLiveSpec, async () => {
    const { isLive } = await control.health()
    if (!isLive) throw new ApiProblem(503, 'not_live', 'the loops of the coordinator stand still')
    return { status: 200, body: { status: 'ok' as const } }
  })
}
