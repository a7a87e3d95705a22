import { updateTicketSpec } from '../../rest-schema/operations/tickets.ts'
import type { Store } from '../../store/contract.ts'
import { getTicket } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toTicketBody } from '../ticket-body.ts'
import { withoutUndefined } from '../without-undefined.ts'

export type UpdateTicketDeps = { readonly store: Pick<Store, 'read'>; readonly control: { wake(): void } }

export function updateTicket({ store, control }: UpdateTicketDeps) {
  return operation(updateTicketSpec, async ({ params, body, caller, write, expectedVersion }) => {
    const { id: ticketId } = await getTicket(store.read, params.key)
    const { dependsOn, notBefore, ...fields } = body
    const dependencies = dependsOn && (await Promise.all(dependsOn.map((ref) => getTicket(store.read, ref))))
    const changes = withoutUndefined({
      ...fields,
      notBefore: notBefore === undefined ? undefined : Date.parse(notBefore),
      dependsOn: dependencies?.map(({ id }) => id),
    })
    const ticket = await write.updateTicket({
      ticketId,
      changes,
      actor: caller.actor,
      ...(expectedVersion === undefined ? {} : { expectedVersion }),
    })
    return {
      status: 200,
      body: toTicketBody(ticket),
      version: ticket.version,
      after: () => control.wake(),
    }
  })
}
