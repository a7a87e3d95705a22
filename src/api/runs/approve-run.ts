import { approveRunSpec } from '../../rest-schema/operations/runs.ts'
import type { Store } from '../../store/contract.ts'
import { operation } from '../operation.ts'
import { toWaitBody } from '../run-body.ts'
import { chooseWait } from './choose-wait.ts'

export type ApproveRunDeps = { readonly store: Pick<Store, 'read'>; readonly control: { wake(): void } }

export function approveRun({ store, control }: ApproveRunDeps) {
  return operation(approveRunSpec, async ({ params: { runId }, body, caller, change }) => {
    const { id } = await chooseWait(store.read, { runId, kind: 'approval', waitId: body.waitId })
    const outputs = { approved: true, approvedBy: caller.actor, comment: body.comment ?? null }
    const resolution = { kind: 'succeeded', outputs } as const
    return await change(async (write) => {
      const wait = await write.resolveWait({ waitId: id, actor: caller.actor, resolution })
      return { status: 200, body: toWaitBody(wait), after: () => control.wake() }
    })
  })
}
