import { type SqlBool, sql } from 'kysely'
import type { RunId } from '../../domain/id.ts'
import type { EndedRun, StoreReader } from '../contract.ts'
import { toPageSize } from './cursor.ts'
import type { ReadContext } from './read.ts'

export async function listPrunableRuns(
  { db }: ReadContext,
  input: Parameters<StoreReader['listPrunableRuns']>[0],
): Promise<readonly RunId[]> {
  const rows = await db
    .selectFrom('runs')
    .innerJoin('tickets', 'tickets.id', 'runs.ticket_id')
    .select('runs.id')
    .where('runs.id', '>', input.afterRunId ?? ('' as RunId))
    .where('tickets.finished_at', '<', input.endedBefore)
    .where('runs.finished_at', '<', input.endedBefore)
    .where(hasRecords())
    .orderBy('runs.id')
    .limit(toPageSize(input.countMax))
    .execute()
  return rows.map(({ id }) => id)
}

/** Steps go last, so a run that was left half-way is found again; a sandbox that may live keeps all. */
function hasRecords() {
  return sql<SqlBool>`(exists (select 1 from steps where steps.run_id = runs.id)
    and not exists (select 1 from sandboxes
      where sandboxes.run_id = runs.id and sandboxes.status in ('creating', 'ready', 'stopping')))`
}

export async function listRunEnds(
  { db }: ReadContext,
  { runIds }: Parameters<StoreReader['listRunEnds']>[0],
): Promise<readonly EndedRun[]> {
  if (runIds.length === 0) return []
  const rows = await db
    .selectFrom('runs')
    .innerJoin('tickets', 'tickets.id', 'runs.ticket_id')
    .select([
      'runs.id',
      'tickets.project_id',
      'runs.finished_at as run_finished_at',
      'tickets.finished_at as ticket_finished_at',
    ])
    .where('runs.id', 'in', runIds)
    .execute()
  return rows.map((row) => ({
    runId: row.id,
    projectId: row.project_id,
    endedAt:
      row.run_finished_at === null || row.ticket_finished_at === null
        ? null
        : Math.max(Number(row.run_finished_at), Number(row.ticket_finished_at)),
  }))
}
