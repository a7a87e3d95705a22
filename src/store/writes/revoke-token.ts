import type { TokenId } from '../../domain/id.ts'
import { NotFoundError } from '../errors.ts'
import type { Tx } from '../transaction.ts'

/** From the commit on the token opens nothing. A second revocation changes nothing. */
export async function revokeToken(tx: Tx, input: { tokenId: TokenId; actor: string }): Promise<void> {
  const token = await tx.db
    .selectFrom('tokens')
    .select(['id', 'name', 'run_id', 'revoked_at'])
    .where('id', '=', input.tokenId)
    .$if(tx.dialect.supportsSkipLocked, (query) => query.forNoKeyUpdate())
    .executeTakeFirst()
  if (token === undefined) throw new NotFoundError('token', input.tokenId)
  if (token.revoked_at !== null) return
  await tx.db.updateTable('tokens').set({ revoked_at: tx.now }).where('id', '=', token.id).execute()
  tx.emit({
    type: 'token.revoked',
    actor: input.actor,
    runId: token.run_id,
    data: { tokenId: token.id, name: token.name },
  })
}
