import type { RunId } from '../../domain/id.ts'
import { cancelTicketSpec } from '../../rest-schema/operations/tickets.ts'
import type { Store } from '../../store/contract.ts'
import { getTicket } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toTicketBody } from '../ticket-body.ts'

export type CancelTicketDeps = {
  readonly store: Pick<Store, 'read'>
  readonly control: { cancelRun(runId: RunId): void }
}

export function cancelTicket({ store, control }: CancelTicketDeps) {
  return operation(cancelTicketSpec, async ({ params, body, caller, change }) => {
    const { id: ticketId, currentRunId } = await getTicket(store.read, params.key)
    return await change(async (write) => {
      const ticket = await write.cancelTicket({
        ticketId,
        actor: caller.actor,
        ...(body.detail === undefined ? {} : { detail: body.detail }),
      })
      const after = () => {
        const runId = ticket.currentRunId ?? currentRunId
        if (runId !== null) control.cancelRun(runId)
      }
      return { status: 200, body: toTicketBody(ticket), version: ticket.version, after }
    })
  })
}
