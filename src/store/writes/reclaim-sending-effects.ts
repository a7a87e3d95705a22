import type { Tx } from '../transaction.ts'

export async function reclaimSendingEffects(tx: Tx): Promise<number> {
  const reclaimed = await tx.db
    .updateTable('effects')
    .set({ status: 'pending' })
    .where('status', '=', 'sending')
    .returning('id')
    .execute()
  return reclaimed.length
}
