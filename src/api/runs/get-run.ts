import { getRunSpec } from '../../rest-schema/operations/runs.ts'
import type { Store } from '../../store/contract.ts'
import { getRun as findById, getTicket } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toRunBody, toSandboxBody, toStepBody, toUsageTotal, toWaitBody } from '../run-body.ts'

export function getRun({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(getRunSpec, async ({ params: { runId } }) => {
    const { read } = store
    const run = await findById(read, runId)
    const [ticket, instances, attempts, waits, sandboxes, usages] = await Promise.all([
      getTicket(read, run.ticketId),
      read.listStepInstances(runId),
      read.listAttempts({ runId }),
      read.listOpenWaits({ runId }),
      read.listSandboxEntries({ runId }),
      read.listUsage(runId),
    ])
    return {
      status: 200,
      body: {
        ...toRunBody(run),
        ticketKey: ticket.key,
        steps: instances.map((instance) => toStepBody(instance, attempts)),
        openWaits: waits.map(toWaitBody),
        sandboxes: sandboxes.map(toSandboxBody),
        usage: toUsageTotal(usages),
      },
    }
  })
}
