import type { Updateable } from 'kysely'
import type { PullRequestId } from '../../domain/id.ts'
import type { Reason } from '../../domain/reason.ts'
import { isTransition } from '../../domain/status.ts'
import { IllegalTransitionError, NotFoundError } from '../errors.ts'
import type { Row } from '../rows.ts'
import type { PullRequestsTable } from '../schema.ts'
import type { Tx } from '../transaction.ts'
import { completeTicket, failTicket } from './end-ticket.ts'
import { changeTicket, getTicketRow } from './move-ticket.ts'

/** `merged`; a ticket in review is done. A ticket whose further run is under way decides when that run ends. */
export async function mergePullRequest(
  tx: Tx,
  input: { pullRequestId: PullRequestId; mergeCommit: string },
): Promise<void> {
  const pullRequest = await getPullRequestRow(tx, input.pullRequestId)
  if (pullRequest.status === 'merged') return
  await move(tx, pullRequest, 'merged', { merge_commit: input.mergeCommit, merged_at: tx.now })
  emitAbout(tx, pullRequest, 'pull_request.merged', { mergeCommit: input.mergeCommit })
  const ticket = await getTicketRow(tx, pullRequest.ticket_id)
  if (isReviewing(ticket, pullRequest)) await completeTicket(tx, ticket, { actor: 'coordinator' })
}

/** `closed` without merge; a ticket in review has failed. */
export async function closePullRequest(tx: Tx, input: { pullRequestId: PullRequestId }): Promise<void> {
  const pullRequest = await getPullRequestRow(tx, input.pullRequestId)
  if (pullRequest.status === 'closed') return
  await move(tx, pullRequest, 'closed', {})
  emitAbout(tx, pullRequest, 'pull_request.closed', {})
  const ticket = await getTicketRow(tx, pullRequest.ticket_id)
  if (!isReviewing(ticket, pullRequest)) return
  const why = { reason: 'pull_request_closed', detail: 'closed without merge' } as const
  await failTicket(tx, ticket, { ...why, actor: 'coordinator', isDead: false })
}

/** The ticket stays in review and says why. */
export async function refuseMerge(
  tx: Tx,
  input: { pullRequestId: PullRequestId; reason: Reason; detail: string },
): Promise<void> {
  const { reason, detail } = input
  const pullRequest = await getPullRequestRow(tx, input.pullRequestId)
  emitAbout(tx, pullRequest, 'pull_request.conflicted', { reason, detail })
  const ticket = await getTicketRow(tx, pullRequest.ticket_id)
  if (isReviewing(ticket, pullRequest)) await changeTicket(tx, ticket, { reason, detail })
}

/** The pull request's row, locked with its ticket's where rows can be locked. */
export async function getPullRequestRow(tx: Tx, id: PullRequestId): Promise<Row<'pull_requests'>> {
  const row = await tx.db
    .selectFrom('pull_requests as p')
    .innerJoin('tickets as t', 't.id', 'p.ticket_id')
    .selectAll('p')
    .where('p.id', '=', id)
    .$if(tx.dialect.supportsSkipLocked, (query) => query.forNoKeyUpdate(['t', 'p']))
    .executeTakeFirst()
  if (row === undefined) throw new NotFoundError('pull request', id)
  return row
}

/** Whether the ticket's fate hangs on this pull request now. */
export function isReviewing(ticket: Row<'tickets'>, pullRequest: Row<'pull_requests'>): boolean {
  return ticket.status === 'review' && ticket.pull_request_id === pullRequest.id
}

async function move(
  tx: Tx,
  pullRequest: Row<'pull_requests'>,
  to: 'merged' | 'closed',
  changes: Updateable<PullRequestsTable>,
): Promise<void> {
  if (!isTransition('pull_request', pullRequest.status, to)) {
    throw new IllegalTransitionError('pull request', pullRequest.id, pullRequest.status, to)
  }
  await tx.db
    .updateTable('pull_requests')
    .set({ ...changes, status: to, updated_at: tx.now })
    .where('id', '=', pullRequest.id)
    .execute()
}

function emitAbout(
  tx: Tx,
  pullRequest: Row<'pull_requests'>,
  type: 'pull_request.merged' | 'pull_request.closed' | 'pull_request.conflicted',
  data: Readonly<Record<string, string>>,
): void {
  tx.emit({
    type,
    actor: 'coordinator',
    ticketId: pullRequest.ticket_id,
    runId: pullRequest.run_id,
    data: { pullRequestId: pullRequest.id, number: pullRequest.number, ...data },
  })
}
