import { listTicketsSpec } from '../../rest-schema/operations/tickets.ts'
import type { Store } from '../../store/contract.ts'
import { getProject } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toTicketBody } from '../ticket-body.ts'
import { withoutUndefined } from '../without-undefined.ts'

export function listTickets({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(listTicketsSpec, async ({ query }) => {
    const project = query.project === undefined ? undefined : await getProject(store.read, query.project)
    const page = await store.read.listTickets(
      withoutUndefined({
        projectId: project?.id,
        statuses: query.status,
        labels: query.label,
        types: query.type,
        text: query.text,
        isDead: query.dead,
        cursor: query.cursor,
        countMax: query.limit,
      }),
    )
    return { status: 200, body: { items: page.items.map(toTicketBody), nextCursor: page.nextCursor } }
  })
}
