import type { TokenId } from '../../domain/id.ts'
import type { Tx } from '../transaction.ts'

export async function touchToken(tx: Tx, input: { tokenId: TokenId }): Promise<void> {
  await tx.db.updateTable('tokens').set({ last_used_at: tx.now }).where('id', '=', input.tokenId).execute()
}
