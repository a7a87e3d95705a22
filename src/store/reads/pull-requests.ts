import type { PullRequestId } from '../../domain/id.ts'
import type { StoreReader } from '../contract.ts'
import { toPullRequest } from '../rows.ts'
import { parseCursor, toPage, toPageSize } from './cursor.ts'
import type { ReadContext } from './read.ts'

export async function findPullRequest(
  { db }: ReadContext,
  by: Parameters<StoreReader['findPullRequest']>[0],
): ReturnType<StoreReader['findPullRequest']> {
  const query = db.selectFrom('pull_requests').selectAll()
  if ('pullRequestId' in by) {
    const row = await query.where('id', '=', by.pullRequestId).executeTakeFirst()
    return row && toPullRequest(row)
  }
  const ofForge = query.where('project_id', '=', by.projectId).where('forge', '=', by.forge)
  if ('number' in by) {
    const row = await ofForge.where('number', '=', by.number).executeTakeFirst()
    return row && toPullRequest(row)
  }
  const row = await ofForge
    .where('branch', '=', by.branch)
    .orderBy('created_at', 'desc')
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row && toPullRequest(row)
}

/** Newest first. */
export async function listPullRequests(
  { db }: ReadContext,
  filter: Parameters<StoreReader['listPullRequests']>[0],
): ReturnType<StoreReader['listPullRequests']> {
  const size = toPageSize(filter.countMax)
  let query = db.selectFrom('pull_requests').selectAll()
  if (filter.projectId !== undefined) query = query.where('project_id', '=', filter.projectId)
  if (filter.ticketId !== undefined) query = query.where('ticket_id', '=', filter.ticketId)
  if (filter.statuses !== undefined) query = query.where('status', 'in', filter.statuses)
  if (filter.cursor !== undefined) {
    const { createdAt, id } = parseCursor(filter.cursor)
    query = query.where((eb) =>
      eb.or([
        eb('created_at', '<', createdAt),
        eb.and([eb('created_at', '=', createdAt), eb('id', '<', id as PullRequestId)]),
      ]),
    )
  }
  const rows = await query
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(size + 1)
    .execute()
  return toPage(rows, size, toPullRequest)
}
