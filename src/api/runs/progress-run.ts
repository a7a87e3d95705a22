import { progressRunSpec } from '../../rest-schema/operations/runs.ts'
import type { Store } from '../../store/contract.ts'
import { toHolder } from '../caller.ts'
import { getRun } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toLeaseBody } from './claim-body.ts'

export function progressRun({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(progressRunSpec, async ({ params: { runId }, body, caller, change }) => {
    const run = await getRun(store.read, runId)
    const { epoch, message, percent = null, data = {} } = body
    const holder = toHolder(caller, body.holder)
    return await change(async (write) => {
      await write.recordProgress({ runId, holder, epoch, data: { message, percent, data } })
      return { status: 200, body: toLeaseBody(run, body.holder) }
    })
  })
}
