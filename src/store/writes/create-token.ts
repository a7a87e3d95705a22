import type { RunId } from '../../domain/id.ts'
import type { Token } from '../../domain/records.ts'
import { isTerminal } from '../../domain/status.ts'
import { ConflictError } from '../errors.ts'
import { toJson, toToken } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { getRunRow } from './move-run.ts'

export async function createToken(
  tx: Tx,
  input: Pick<Token, 'name' | 'scopes' | 'expiresAt'> & { secretHash: string; runId?: RunId; actor: string },
): Promise<Token> {
  if (input.runId !== undefined) await refuseForEndedRun(tx, input.runId)
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

/** The run's end revokes its tokens: one that came after it would live on. */
async function refuseForEndedRun(tx: Tx, runId: RunId): Promise<void> {
  const { status } = await getRunRow(tx, runId)
  if (isTerminal('run', status)) throw new ConflictError(`run ${runId} has ended: it gets no token any more`)
}
