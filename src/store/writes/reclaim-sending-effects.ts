import type { EffectId } from '../../domain/id.ts'
import type { Tx } from '../transaction.ts'
import { getEffectRow, isAwaited } from './complete-effect.ts'
import { failEffect } from './fail-effect.ts'

export async function reclaimSendingEffects(
  tx: Tx,
  input?: { holder: string; silentMs?: number },
): Promise<number> {
  let count = 0
  for (const effectId of await listAbandoned(tx, input)) {
    const effect = await getEffectRow(tx, effectId)
    if (effect.status !== 'sending') continue
    count++
    if (await isAwaited(tx, effect)) {
      await tx.db.updateTable('effects').set({ status: 'pending' }).where('id', '=', effectId).execute()
    } else {
      await failEffect(tx, { effectId, reason: 'parent_ended', detail: 'not waited for any more' })
    }
  }
  return count
}

async function listAbandoned(
  tx: Tx,
  input: { holder: string; silentMs?: number } | undefined,
): Promise<readonly EffectId[]> {
  const sending = await tx.db
    .selectFrom('effects')
    .select(['id', 'sender'])
    .where('status', '=', 'sending')
    .orderBy('seq')
    .execute()
  if (sending.length === 0) return []
  const living = new Set(input === undefined ? [] : [input.holder])
  if (input?.silentMs !== undefined) {
    const hosts = await tx.db
      .selectFrom('hosts')
      .select('holder')
      .where('stopped_at', 'is', null)
      .where('last_seen_at', '>', tx.now - input.silentMs)
      .execute()
    for (const { holder } of hosts) living.add(holder)
  }
  return sending.filter(({ sender }) => sender === null || !living.has(sender)).map(({ id }) => id)
}
