import type { Effect } from '../../domain/effect.ts'
import type { EffectId } from '../../domain/id.ts'
import type { Reason } from '../../domain/reason.ts'
import { isTransition } from '../../domain/status.ts'
import { IllegalTransitionError } from '../errors.ts'
import { toEffect } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { getEffectRow, isAwaited, resolveWaiting } from './complete-effect.ts'

export async function failEffect(
  tx: Tx,
  input: { effectId: EffectId; holder?: string; reason: Reason; detail: string; retryAt?: number },
): Promise<Effect> {
  const effect = await getEffectRow(tx, input.effectId)
  if (effect.status === 'dead') return toEffect(effect)
  if (input.holder !== undefined && effect.sender !== input.holder) return toEffect(effect)
  // Sent again only for somebody: its run may have ended while it was under way.
  const { reason, detail, retryAt } = (await isAwaited(tx, effect))
    ? input
    : { reason: 'parent_ended' as const, detail: input.detail, retryAt: undefined }
  const to = retryAt === undefined ? 'dead' : 'pending'
  if (!isTransition('effect', effect.status, to)) {
    throw new IllegalTransitionError('effect', effect.id, effect.status, to)
  }
  const failed = await tx.db
    .updateTable('effects')
    .set({
      status: to,
      reason,
      detail,
      ...(retryAt === undefined ? { finished_at: tx.now } : { not_before: retryAt }),
    })
    .where('id', '=', effect.id)
    .returningAll()
    .executeTakeFirstOrThrow()
  tx.emit({
    type: retryAt === undefined ? 'effect.dead' : 'effect.retried',
    actor: 'coordinator',
    ticketId: effect.ticket_id,
    runId: effect.run_id,
    stepInstanceId: effect.step_instance_id,
    data: { effectId: effect.id, kind: effect.kind, reason, detail, notBefore: retryAt ?? null },
  })
  if (retryAt === undefined) await resolveWaiting(tx, failed)
  return toEffect(failed)
}
