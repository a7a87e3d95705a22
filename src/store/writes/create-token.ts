import type { RunId } from '../../domain/id.ts'
import type { Token } from '../../domain/records.ts'
import { ConflictError } from '../errors.ts'
import { toJson, toToken } from '../rows.ts'
import type { Tx } from '../transaction.ts'

export async function createToken(
  tx: Tx,
  input: Pick<Token, 'name' | 'scopes' | 'expiresAt'> & { secretHash: string; runId?: RunId; actor: string },
): Promise<Token> {
  const row = await tx.db
    .insertInto('tokens')
    .values({
      id: tx.newId('token'),
      name: input.name,
      scopes: toJson(input.scopes),
      run_id: input.runId ?? null,
      secret_hash: input.secretHash,
      created_at: tx.now,
      expires_at: input.expiresAt,
      revoked_at: null,
      last_used_at: null,
    })
    .onConflict((conflict) => conflict.column('secret_hash').doNothing())
    .returningAll()
    .executeTakeFirst()
  if (row === undefined) throw new ConflictError('a token with this secret exists already')
  tx.emit({
    type: 'token.created',
    actor: input.actor,
    runId: row.run_id,
    data: { tokenId: row.id, name: row.name, scopes: input.scopes },
  })
  return toToken(row)
}
