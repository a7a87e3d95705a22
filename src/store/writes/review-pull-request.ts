import type { PullRequestId } from '../../domain/id.ts'
import type { PullRequest, ReviewState } from '../../domain/pull-request.ts'
import { ConflictError } from '../errors.ts'
import { toPullRequest } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { addComment } from './add-comment.ts'
import { getPullRequestRow, isReviewing } from './end-pull-request.ts'
import { requeueTicket } from './end-ticket.ts'
import { getTicketRow } from './move-ticket.ts'

export async function reviewPullRequest(
  tx: Tx,
  input: {
    pullRequestId: PullRequestId
    state: Exclude<ReviewState, 'none'>
    comment?: string
    actor: string
  },
): Promise<PullRequest> {
  const { state, comment, actor } = input
  const pullRequest = await getPullRequestRow(tx, input.pullRequestId)
  if (pullRequest.status !== 'open') {
    throw new ConflictError(`pull request ${pullRequest.number} is ${pullRequest.status}: it takes no review`)
  }
  const reviewed = await tx.db
    .updateTable('pull_requests')
    .set({ review_state: state, updated_at: tx.now })
    .where('id', '=', pullRequest.id)
    .returningAll()
    .executeTakeFirstOrThrow()
  tx.emit({
    type: 'pull_request.reviewed',
    actor,
    ticketId: pullRequest.ticket_id,
    runId: pullRequest.run_id,
    data: { pullRequestId: pullRequest.id, number: pullRequest.number, state, comment: comment ?? null },
  })
  // The next run reads it there, and so do people.
  if (comment !== undefined && comment !== '') {
    await addComment(tx, { ticketId: pullRequest.ticket_id, author: actor, body: comment })
  }
  const ticket = await getTicketRow(tx, pullRequest.ticket_id)
  if (state === 'changes_requested' && isReviewing(ticket, pullRequest)) {
    const why = { reason: 'changes_requested', detail: comment ?? 'changes were requested' } as const
    // A person's request is no failure of the runs before it: they are counted from here on.
    await requeueTicket(tx, ticket, { ...why, actor, notBefore: 0, runCount: 0 })
  }
  return toPullRequest(reviewed)
}
