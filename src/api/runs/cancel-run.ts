import type { RunId } from '../../domain/id.ts'
import { cancelRunSpec } from '../../rest-schema/operations/runs.ts'
import type { Store } from '../../store/contract.ts'
import { getRun } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toRunBody } from '../run-body.ts'

export type CancelRunDeps = {
  readonly store: Pick<Store, 'read'>
  readonly control: { cancelRun(runId: RunId): void }
}

export function cancelRun({ store, control }: CancelRunDeps) {
  return operation(cancelRunSpec, async ({ params: { runId }, caller, change }) => {
    await getRun(store.read, runId)
    return await change(async (write) => {
      const run = await write.requestRunCancel({ runId, actor: caller.actor })
      return { status: 200, body: toRunBody(run), after: () => control.cancelRun(runId) }
    })
  })
}
