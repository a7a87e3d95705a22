import { sendSignalSpec } from '../../rest-schema/operations/runs.ts'
import type { Store } from '../../store/contract.ts'
import { getRun } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toSignalBody } from '../run-body.ts'

export type SendSignalDeps = { readonly store: Pick<Store, 'read'>; readonly control: { wake(): void } }

export function sendSignal({ store, control }: SendSignalDeps) {
  return operation(sendSignalSpec, async ({ params: { runId }, body, caller, change }) => {
    await getRun(store.read, runId)
    const { name, payload = {} } = body
    return await change(async (write) => {
      const signal = await write.sendSignal({ runId, name, payload, actor: caller.actor })
      return { status: 201, body: toSignalBody(signal), after: () => control.wake() }
    })
  })
}
