import { listPullRequestsSpec } from '../../rest-schema/operations/pull-requests.ts'
import type { Store } from '../../store/contract.ts'
import { getProject, getTicket } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toPullRequestBody } from '../pull-request-body.ts'
import { withoutUndefined } from '../without-undefined.ts'

export function listPullRequests({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(listPullRequestsSpec, async ({ query }) => {
    const project = query.project === undefined ? undefined : await getProject(store.read, query.project)
    const ticket = query.ticket === undefined ? undefined : await getTicket(store.read, query.ticket)
    const page = await store.read.listPullRequests(
      withoutUndefined({
        projectId: project?.id,
        ticketId: ticket?.id,
        statuses: query.status,
        cursor: query.cursor,
        countMax: query.limit,
      }),
    )
    return { status: 200, body: { items: page.items.map(toPullRequestBody), nextCursor: page.nextCursor } }
  })
}
