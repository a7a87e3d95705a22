import { completeRunSpec } from '../../rest-schema/operations/runs.ts'
import type { Store } from '../../store/contract.ts'
import { toHolder } from '../caller.ts'
import { getRun } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toRunBody } from '../run-body.ts'
import { toTicketBody } from '../ticket-body.ts'
import { asHolder } from './as-holder.ts'

export type CompleteRunDeps = { readonly store: Pick<Store, 'read'>; readonly control: { wake(): void } }

export function completeRun({ store, control }: CompleteRunDeps) {
  return operation(completeRunSpec, async ({ params: { runId }, body, caller, change }) => {
    await getRun(store.read, runId)
    const finish = () =>
      change(async (write) => {
        const { run, ticket } = await write.finishRun({
          runId,
          holder: toHolder(caller, body.holder),
          epoch: body.epoch,
          outcome: { status: 'succeeded', outputs: body.outputs ?? {}, ticket: 'done' },
        })
        const finished = { run: toRunBody(run), ticket: toTicketBody(ticket) }
        // Dependents may be claimable now.
        return { status: 200, body: finished, after: () => control.wake() }
      })
    return await asHolder(store.read, runId, finish)
  })
}
