import type { RunId } from '../../domain/id.ts'
import type { StoreReader } from '../contract.ts'
import { toArtifact, toSandboxEntry, toUsage } from '../rows.ts'
import type { ReadContext } from './read.ts'

export async function listSandboxEntries(
  { db }: ReadContext,
  filter: Parameters<StoreReader['listSandboxEntries']>[0],
): ReturnType<StoreReader['listSandboxEntries']> {
  let query = db.selectFrom('sandboxes').selectAll()
  if (filter.hostId !== undefined) query = query.where('host_id', '=', filter.hostId)
  if (filter.runId !== undefined) query = query.where('run_id', '=', filter.runId)
  if (filter.isLive === true) query = query.where('status', 'in', ['creating', 'ready', 'stopping'])
  if (filter.isLive === false) query = query.where('status', 'in', ['gone', 'lost'])
  const rows = await query.orderBy('created_at').orderBy('id').execute()
  return rows.map(toSandboxEntry)
}

export async function listArtifacts(
  { db }: ReadContext,
  runId: RunId,
): ReturnType<StoreReader['listArtifacts']> {
  const rows = await db
    .selectFrom('artifacts')
    .selectAll()
    .where('run_id', '=', runId)
    .orderBy('created_at')
    .orderBy('id')
    .execute()
  return rows.map(toArtifact)
}

export async function listUsage({ db }: ReadContext, runId: RunId): ReturnType<StoreReader['listUsage']> {
  const rows = await db.selectFrom('usage').selectAll().where('run_id', '=', runId).orderBy('seq').execute()
  return rows.map(toUsage)
}
