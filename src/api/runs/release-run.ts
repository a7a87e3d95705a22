import { releaseRunSpec } from '../../rest-schema/operations/runs.ts'
import type { Store } from '../../store/contract.ts'
import { toHolder } from '../caller.ts'
import { getRun } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { asHolder } from './as-holder.ts'

export type ReleaseRunDeps = { readonly store: Pick<Store, 'read'>; readonly control: { wake(): void } }

export function releaseRun({ store, control }: ReleaseRunDeps) {
  return operation(releaseRunSpec, async ({ params: { runId }, body, caller, change }) => {
    const { ticketId } = await getRun(store.read, runId)
    const release = () =>
      change(async (write) => {
        await write.releaseRun({
          runId,
          holder: toHolder(caller, body.holder),
          epoch: body.epoch,
          ...(body.detail === undefined ? {} : { detail: body.detail }),
        })
        return { status: 200, body: { runId, ticketId }, after: () => control.wake() }
      })
    return await asHolder(store.read, runId, release)
  })
}
