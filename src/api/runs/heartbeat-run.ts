import { heartbeatRunSpec } from '../../rest-schema/operations/runs.ts'
import type { Store } from '../../store/contract.ts'
import { LeaseLostError } from '../../store/errors.ts'
import { toHolder } from '../caller.ts'
import { getRun } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { asHolder } from './as-holder.ts'
import { toLeaseBody } from './claim-body.ts'

export function heartbeatRun({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(heartbeatRunSpec, async ({ params: { runId }, body, caller, write }) => {
    await getRun(store.read, runId)
    const { epoch, leaseTtlMs } = body
    const holder = toHolder(caller, body.holder)
    await asHolder(store.read, runId, async () => {
      const renewal = await write.renewLeases({ holder, leaseTtlMs, runs: [{ runId, epoch }] })
      if (renewal.lost.includes(runId)) throw new LeaseLostError(runId, epoch)
    })
    return { status: 200, body: toLeaseBody(await getRun(store.read, runId), body.holder) }
  })
}
