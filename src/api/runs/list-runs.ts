import { listRunsSpec } from '../../rest-schema/operations/runs.ts'
import type { Store } from '../../store/contract.ts'
import { getTicket } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toRunBody } from '../run-body.ts'
import { withoutUndefined } from '../without-undefined.ts'

export function listRuns({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(listRunsSpec, async ({ query }) => {
    const ticket = query.ticket === undefined ? undefined : await getTicket(store.read, query.ticket)
    const page = await store.read.listRuns(
      withoutUndefined({
        ticketId: ticket?.id,
        statuses: query.status,
        cursor: query.cursor,
        countMax: query.limit,
      }),
    )
    return { status: 200, body: { items: page.items.map(toRunBody), nextCursor: page.nextCursor } }
  })
}
