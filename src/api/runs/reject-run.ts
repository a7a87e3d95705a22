import { rejectRunSpec } from '../../rest-schema/operations/runs.ts'
import type { Store } from '../../store/contract.ts'
import { operation } from '../operation.ts'
import { toWaitBody } from '../run-body.ts'
import { chooseWait } from './choose-wait.ts'

export type RejectRunDeps = { readonly store: Pick<Store, 'read'>; readonly control: { wake(): void } }

export function rejectRun({ store, control }: RejectRunDeps) {
  return operation(rejectRunSpec, async ({ params: { runId }, body, caller, change }) => {
    const { id } = await chooseWait(store.read, { runId, kind: 'approval', waitId: body.waitId })
    const resolution = {
      kind: 'failed',
      reason: 'rejected',
      detail: body.comment ?? `rejected by ${caller.actor}`,
      outputs: { approved: false, rejectedBy: caller.actor, comment: body.comment ?? null },
    } as const
    return await change(async (write) => {
      const wait = await write.resolveWait({ waitId: id, actor: caller.actor, resolution })
      return { status: 200, body: toWaitBody(wait), after: () => control.wake() }
    })
  })
}
