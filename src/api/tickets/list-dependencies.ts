import { listDependenciesSpec } from '../../rest-schema/operations/tickets.ts'
import type { Store } from '../../store/contract.ts'
import { getTicket } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toTicketBody } from '../ticket-body.ts'

export function listDependencies({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(listDependenciesSpec, async ({ params }) => {
    const { id } = await getTicket(store.read, params.key)
    const [dependsOn, dependents] = await Promise.all([
      store.read.listDependencies(id),
      store.read.listDependents(id),
    ])
    return {
      status: 200,
      body: { dependsOn: dependsOn.map(toTicketBody), dependents: dependents.map(toTicketBody) },
    }
  })
}
