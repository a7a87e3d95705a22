import type { StoreReader } from '../contract.ts'
import { toProject } from '../rows.ts'
import type { ReadContext } from './read.ts'

export async function findProject(
  { db }: ReadContext,
  by: Parameters<StoreReader['findProject']>[0],
): ReturnType<StoreReader['findProject']> {
  const query = db.selectFrom('projects').selectAll()
  const row = await ('key' in by
    ? query.where('key', '=', by.key)
    : query.where('id', '=', by.projectId)
  ).executeTakeFirst()
  return row && toProject(row)
}

export async function listProjects({ db }: ReadContext): ReturnType<StoreReader['listProjects']> {
  const rows = await db.selectFrom('projects').selectAll().orderBy('key').execute()
  return rows.map(toProject)
}
