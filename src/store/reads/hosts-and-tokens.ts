import type { StoreReader } from '../contract.ts'
import { toHost, toToken } from '../rows.ts'
import type { ReadContext } from './read.ts'

export async function listHosts({ db }: ReadContext): ReturnType<StoreReader['listHosts']> {
  const rows = await db.selectFrom('hosts').selectAll().orderBy('name').execute()
  return rows.map(toHost)
}

/** Also a revoked or expired one: whether it opens anything is the caller's to decide. */
export async function findTokenByHash(
  { db }: ReadContext,
  secretHash: string,
): ReturnType<StoreReader['findTokenByHash']> {
  const row = await db
    .selectFrom('tokens')
    .selectAll()
    .where('secret_hash', '=', secretHash)
    .executeTakeFirst()
  return row && toToken(row)
}

export async function listTokens({ db }: ReadContext): ReturnType<StoreReader['listTokens']> {
  const rows = await db.selectFrom('tokens').selectAll().orderBy('created_at').orderBy('id').execute()
  return rows.map(toToken)
}
