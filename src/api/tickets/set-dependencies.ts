import { setDependenciesSpec } from '../../rest-schema/operations/tickets.ts'
import type { Store } from '../../store/contract.ts'
import { getTicket } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toTicketBody } from '../ticket-body.ts'

export type SetDependenciesDeps = { readonly store: Pick<Store, 'read'>; readonly control: { wake(): void } }

export function setDependencies({ store, control }: SetDependenciesDeps) {
  return operation(setDependenciesSpec, async ({ params, body, caller, write, expectedVersion }) => {
    const { id: ticketId } = await getTicket(store.read, params.key)
    const dependencies = await Promise.all(body.dependsOn.map((ref) => getTicket(store.read, ref)))
    const ticket = await write.updateTicket({
      ticketId,
      changes: { dependsOn: dependencies.map(({ id }) => id) },
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
