import { progressRunSpec } from '../../rest-schema/operations/runs.ts'
import type { Store } from '../../store/contract.ts'
import { toHolder } from '../caller.ts'
import { getRun } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { asHolder } from './as-holder.ts'
import { toLeaseBody } from './claim-body.ts'
import { createProgressLimit } from './progress-limit.ts'

export function progressRun({ store }: { readonly store: Pick<Store, 'read' | 'now'> }) {
  const limit = createProgressLimit(() => store.now())
  return operation(progressRunSpec, async ({ params: { runId }, body, caller, change }) => {
    const run = await getRun(store.read, runId)
    limit.check(runId)
    const { epoch, message, percent = null, data = {} } = body
    const holder = toHolder(caller, body.holder)
    const record = () =>
      change(async (write) => {
        await write.recordProgress({ runId, holder, epoch, data: { message, percent, data } })
        return { status: 200, body: toLeaseBody(run, body.holder), after: () => limit.add(runId) }
      })
    return await asHolder(store.read, runId, record)
  })
}
