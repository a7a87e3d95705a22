import { toEffect } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { isAwaited } from './complete-effect.ts'
import { failEffect } from './fail-effect.ts'

export async function reclaimSendingEffects(tx: Tx): Promise<number> {
  const sending = await tx.db.selectFrom('effects').selectAll().where('status', '=', 'sending').execute()
  for (const effect of sending) {
    if (await isAwaited(tx, effect)) {
      await tx.db.updateTable('effects').set({ status: 'pending' }).where('id', '=', effect.id).execute()
    } else {
      const { id: effectId } = toEffect(effect)
      await failEffect(tx, { effectId, reason: 'parent_ended', detail: 'not waited for any more' })
    }
  }
  return sending.length
}
