import { createCommentSpec } from '../../rest-schema/operations/tickets.ts'
import type { Store } from '../../store/contract.ts'
import { getTicket } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toCommentBody } from '../ticket-body.ts'

export function createComment({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(createCommentSpec, async ({ params, body, caller, change }) => {
    const { id: ticketId } = await getTicket(store.read, params.key)
    return await change(async (write) => {
      const comment = await write.addComment({ ticketId, author: caller.actor, body: body.body })
      return { status: 201, body: toCommentBody(comment) }
    })
  })
}
