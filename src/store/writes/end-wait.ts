import type { WaitResolution } from '../contract.ts'
import { ConflictError } from '../errors.ts'
import { type Row, toJson, toJsonOrNull } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { aboutRun, getRunRow, moveRun } from './move-run.ts'
import { findLiveAttempt, getStepRow, moveAttempt, moveStep } from './move-step.ts'
import { settleTicket } from './settle-ticket.ts'

/**
 * Ends an open wait and, with the same result, its instance (and an attempt of it that still ran). A parked run
 * goes back into the queue; one that stands in it for a later instant may be claimed at once.
 */
export async function endWait(
  tx: Tx,
  wait: Row<'waits'>,
  end: { actor: string; resolution: WaitResolution; eventType?: 'wait.resolved' | 'wait.expired' },
): Promise<Row<'waits'>> {
  const resolved = await closeWait(tx, wait, end.actor, end.resolution)
  const run = await getRunRow(tx, wait.run_id)
  const about = { ...aboutRun(run), stepInstanceId: wait.step_instance_id, actor: end.actor }
  tx.emit({
    ...about,
    type: end.eventType ?? 'wait.resolved',
    data: { waitId: wait.id, kind: wait.kind, subject: wait.subject, result: end.resolution.kind },
  })
  const { key } = await endInstance(tx, wait, end.resolution)
  tx.emit({
    ...about,
    type: end.resolution.kind === 'succeeded' ? 'step.succeeded' : 'step.failed',
    data:
      end.resolution.kind === 'succeeded'
        ? { key }
        : { key, reason: end.resolution.reason, detail: end.resolution.detail },
  })
  if (await becomesClaimable(tx, run)) {
    tx.emit({ ...aboutRun(run), actor: end.actor, type: 'run.resumed', data: { waitId: wait.id } })
    await settleTicket(tx, run.ticket_id)
  }
  return resolved
}

/** A held run is not touched: its holder hears of it. */
async function becomesClaimable(tx: Tx, run: Row<'runs'>): Promise<boolean> {
  if (run.status === 'waiting') {
    await moveRun(tx, run, 'queued', { not_before: tx.now })
    return true
  }
  if (run.status !== 'queued' || run.not_before <= tx.now) return false
  await tx.db.updateTable('runs').set({ not_before: tx.now }).where('id', '=', run.id).execute()
  return true
}

/** Marks the wait as resolved, nothing else: for a run that ends as a whole. */
export async function closeWait(
  tx: Tx,
  wait: Row<'waits'>,
  actor: string,
  resolution: WaitResolution,
): Promise<Row<'waits'>> {
  const resolved = await tx.db
    .updateTable('waits')
    .set({ resolved_at: tx.now, resolved_by: actor, resolution: toJson({ ...resolution }) })
    .where('id', '=', wait.id)
    .where('resolved_at', 'is', null)
    .returningAll()
    .executeTakeFirst()
  if (resolved === undefined) throw new ConflictError(`wait ${wait.id} is resolved already`)
  return resolved
}

async function endInstance(tx: Tx, wait: Row<'waits'>, resolution: WaitResolution): Promise<Row<'steps'>> {
  const why = resolution.kind === 'failed' ? { reason: resolution.reason, detail: resolution.detail } : {}
  const outputs = toJsonOrNull(resolution.outputs)
  const attempt = await findLiveAttempt(tx, wait.step_instance_id)
  if (attempt !== undefined) await moveAttempt(tx, attempt, resolution.kind, { ...why, outputs })
  const instance = await getStepRow(tx, wait.run_id, wait.step_instance_id)
  return await moveStep(tx, instance, resolution.kind, { reason: null, detail: null, ...why, outputs })
}
