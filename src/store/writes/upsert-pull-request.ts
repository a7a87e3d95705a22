import type { Insertable } from 'kysely'
import type { PullRequest } from '../../domain/pull-request.ts'
import type { UpsertPullRequestInput } from '../contract.ts'
import { ConflictError } from '../errors.ts'
import { type Row, toJson, toPullRequest } from '../rows.ts'
import type { PullRequestsTable } from '../schema.ts'
import type { Tx } from '../transaction.ts'
import { changeTicket, getTicketRow } from './move-ticket.ts'

export async function upsertPullRequest(tx: Tx, input: UpsertPullRequestInput): Promise<PullRequest> {
  const ticket = await getTicketRow(tx, input.ticketId)
  const known = await findKnown(tx, input)
  // Published once more after a crash, and merged in between: there is nothing to update.
  if (known?.status === 'merged') return toPullRequest(known)
  const row = known === undefined ? await insert(tx, input) : await update(tx, known, input)
  tx.emit({
    type: known === undefined ? 'pull_request.opened' : 'pull_request.updated',
    actor: 'coordinator',
    ticketId: row.ticket_id,
    runId: row.run_id,
    data: { pullRequestId: row.id, number: row.number, branch: row.branch, headCommit: row.head_commit },
  })
  if (ticket.pull_request_id !== row.id || ticket.branch !== row.branch) {
    await changeTicket(tx, ticket, { pull_request_id: row.id, branch: row.branch })
  }
  return toPullRequest(row)
}

/** The open one of the branch, or the one that the forge has given this number. */
async function findKnown(tx: Tx, input: UpsertPullRequestInput): Promise<Row<'pull_requests'> | undefined> {
  const open = await tx.db
    .selectFrom('pull_requests')
    .selectAll()
    .where('project_id', '=', input.projectId)
    .where('forge', '=', input.forge)
    .where('branch', '=', input.branch)
    .where('status', '=', 'open')
    .executeTakeFirst()
  if (open !== undefined || input.number === undefined) return open
  const numbered = await tx.db
    .selectFrom('pull_requests')
    .selectAll()
    .where('project_id', '=', input.projectId)
    .where('forge', '=', input.forge)
    .where('number', '=', input.number)
    .executeTakeFirst()
  if (numbered?.status === 'merged' && numbered.head_commit !== input.headCommit) {
    throw new ConflictError(`pull request ${input.number} of ${input.forge} is merged already`)
  }
  return numbered
}

async function update(
  tx: Tx,
  known: Row<'pull_requests'>,
  input: UpsertPullRequestInput,
): Promise<Row<'pull_requests'>> {
  return await tx.db
    .updateTable('pull_requests')
    .set({
      ...toColumns(input),
      status: 'open',
      // A review is of what was pushed then.
      review_state: known.head_commit === input.headCommit ? known.review_state : 'none',
      updated_at: tx.now,
    })
    .where('id', '=', known.id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

async function insert(tx: Tx, input: UpsertPullRequestInput): Promise<Row<'pull_requests'>> {
  return await tx.db
    .insertInto('pull_requests')
    .values({
      ...toColumns(input),
      id: tx.newId('pull_request'),
      project_id: input.projectId,
      forge: input.forge,
      branch: input.branch,
      number: input.number ?? (await nextNumber(tx, input)),
      merge_commit: null,
      status: 'open',
      review_state: 'none',
      created_at: tx.now,
      updated_at: tx.now,
      merged_at: null,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
}

async function nextNumber(tx: Tx, input: UpsertPullRequestInput): Promise<number> {
  const row = await tx.db
    .insertInto('counters')
    .values({ name: `pull-requests/${input.projectId}/${input.forge}`, value: 1 })
    .onConflict((conflict) =>
      conflict.column('name').doUpdateSet((eb) => ({ value: eb('counters.value', '+', 1) })),
    )
    .returning('value')
    .executeTakeFirstOrThrow()
  return row.value
}

function toColumns(
  input: UpsertPullRequestInput,
): Pick<
  Insertable<PullRequestsTable>,
  | 'ticket_id'
  | 'run_id'
  | 'title'
  | 'body'
  | 'base_branch'
  | 'head_commit'
  | 'base_commit'
  | 'diff'
  | 'is_diff_truncated'
  | 'addition_count'
  | 'deletion_count'
  | 'changed_files'
  | 'url'
> {
  return {
    ticket_id: input.ticketId,
    run_id: input.runId,
    title: input.title,
    body: input.body,
    base_branch: input.baseBranch,
    head_commit: input.headCommit,
    base_commit: input.baseCommit,
    diff: input.diff,
    is_diff_truncated: input.isDiffTruncated ? 1 : 0,
    addition_count: input.additionCount,
    deletion_count: input.deletionCount,
    changed_files: toJson(input.changedFiles),
    url: input.url,
  }
}
