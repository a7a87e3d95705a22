import { listCommentsSpec } from '../../rest-schema/operations/tickets.ts'
import type { Store } from '../../store/contract.ts'
import { getTicket } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toCommentBody } from '../ticket-body.ts'

export function listComments({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(listCommentsSpec, async ({ params }) => {
    const { id } = await getTicket(store.read, params.key)
    const comments = await store.read.listComments(id)
    return { status: 200, body: { items: comments.map(toCommentBody) } }
  })
}
