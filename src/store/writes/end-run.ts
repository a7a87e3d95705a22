import type { RunId } from '../../domain/id.ts'
import type { JsonObject } from '../../domain/json.ts'
import type { Reason } from '../../domain/reason.ts'
import { type Row, toJsonOrNull } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { closeWait, endWait } from './end-wait.ts'
import { aboutRun, isExternal, moveRun } from './move-run.ts'
import { moveAttempt, moveStep } from './move-step.ts'

export type RunEnd = {
  readonly actor: string
  readonly detail?: string | null
  readonly outputs?: JsonObject | undefined
  /** Holder whose own report this is; a repetition of it is answered with what was recorded */
  readonly reportedBy?: string
} & ({ readonly status: 'succeeded' } | { readonly status: 'failed' | 'canceled'; readonly reason: Reason })

/**
 * Ends the run with everything in it: live attempts, open waits and what they wait for, instances, tokens. When
 * another run waits for this one, that wait ends too. The ticket is the caller's to move.
 */
export async function endRun(tx: Tx, run: Row<'runs'>, end: RunEnd): Promise<Row<'runs'>> {
  await cancelAttempts(tx, run)
  await cancelWaits(tx, run, end.actor)
  await cancelInstances(tx, run)
  await revokeTokens(tx, run.id)
  const reason = end.status === 'succeeded' ? null : end.reason
  const ended = await moveRun(tx, run, end.status, {
    reason,
    detail: end.detail ?? null,
    outputs: toJsonOrNull(end.outputs),
    finished_by: end.reportedBy ?? null,
  })
  const data = reason === null ? {} : { reason, detail: end.detail ?? null }
  tx.emit({ ...aboutRun(run), type: `run.${end.status}`, actor: end.actor, data })
  await resolveParent(tx, ended, end)
  return ended
}

/** Ends a run that nobody drives; asks the holder of any other one to end it. */
export async function endOrAsk(tx: Tx, run: Row<'runs'>, end: RunEnd): Promise<void> {
  if (run.status === 'running' && !isExternal(run)) await askToEnd(tx, run, end.actor)
  else await endRun(tx, run, end)
}

/** @param why what the run shall give as the reason of its end; absent: that a person wished it */
export async function askToEnd(
  tx: Tx,
  run: Row<'runs'>,
  actor: string,
  why?: { readonly reason: Reason; readonly detail: string | null },
): Promise<Row<'runs'>> {
  if (run.cancel_requested_at !== null) return run
  tx.emit({ ...aboutRun(run), type: 'run.cancel_requested', actor })
  return await tx.db
    .updateTable('runs')
    .set({
      cancel_requested_at: tx.now,
      cancel_reason: why?.reason ?? null,
      cancel_detail: why?.detail ?? null,
    })
    .where('id', '=', run.id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

async function cancelAttempts(tx: Tx, run: Row<'runs'>): Promise<void> {
  const attempts = await tx.db
    .selectFrom('attempts')
    .selectAll()
    .where('run_id', '=', run.id)
    .where('status', '=', 'running')
    .execute()
  for (const attempt of attempts) {
    await moveAttempt(tx, attempt, 'canceled', { reason: 'parent_ended' })
    tx.emit({
      ...aboutRun(run),
      type: 'attempt.canceled',
      actor: 'coordinator',
      stepInstanceId: attempt.step_instance_id,
      attempt: attempt.number,
      data: { reason: 'parent_ended' },
    })
  }
}

async function cancelWaits(tx: Tx, run: Row<'runs'>, actor: string): Promise<void> {
  const waits = await tx.db
    .selectFrom('waits')
    .selectAll()
    .where('run_id', '=', run.id)
    .where('resolved_at', 'is', null)
    .execute()
  for (const wait of waits) await cancelWait(tx, wait, actor)
}

/** Ends a wait that is not wanted any more, with what it waits for; the instance is the caller's. */
export async function cancelWait(tx: Tx, wait: Row<'waits'>, actor: string): Promise<void> {
  await closeWait(tx, wait, actor, {
    kind: 'failed',
    reason: 'parent_ended',
    detail: 'not waited for any more',
  })
  await stopWaitedFor(tx, wait, actor)
}

/** An effect that was not begun is not sent; a child run ends. */
export async function stopWaitedFor(tx: Tx, wait: Row<'waits'>, actor: string): Promise<void> {
  if (wait.kind === 'effect') await killEffect(tx, wait)
  if (wait.kind === 'run') await endChild(tx, wait, actor)
}

async function killEffect(tx: Tx, wait: Row<'waits'>): Promise<void> {
  const killed = await tx.db
    .updateTable('effects')
    .set({ status: 'dead', reason: 'parent_ended', detail: 'not waited for any more', finished_at: tx.now })
    .where('id', '=', wait.subject as Row<'effects'>['id'])
    .where('status', '=', 'pending')
    .returningAll()
    .executeTakeFirst()
  if (killed === undefined) return
  tx.emit({
    type: 'effect.dead',
    actor: 'coordinator',
    ticketId: killed.ticket_id,
    runId: killed.run_id,
    stepInstanceId: killed.step_instance_id,
    data: { effectId: killed.id, kind: killed.kind, reason: 'parent_ended' },
  })
}

async function endChild(tx: Tx, wait: Row<'waits'>, actor: string): Promise<void> {
  const child = await tx.db
    .selectFrom('runs')
    .selectAll()
    .where('id', '=', wait.subject as RunId)
    .where('finished_at', 'is', null)
    .executeTakeFirst()
  if (child === undefined) return
  await endOrAsk(tx, child, {
    status: 'canceled',
    reason: 'parent_ended',
    actor,
    detail: 'the run above it ended',
  })
}

async function cancelInstances(tx: Tx, run: Row<'runs'>): Promise<void> {
  const instances = await tx.db
    .selectFrom('steps')
    .selectAll()
    .where('run_id', '=', run.id)
    .where('status', 'in', ['pending', 'running', 'waiting'])
    .execute()
  for (const instance of instances) {
    await moveStep(tx, instance, 'canceled', { reason: 'parent_ended' })
    tx.emit({
      ...aboutRun(run),
      type: 'step.canceled',
      actor: 'coordinator',
      stepInstanceId: instance.id,
      data: { key: instance.key, reason: 'parent_ended' },
    })
  }
}

async function revokeTokens(tx: Tx, runId: RunId): Promise<void> {
  const revoked = await tx.db
    .updateTable('tokens')
    .set({ revoked_at: tx.now })
    .where('run_id', '=', runId)
    .where('revoked_at', 'is', null)
    .returning(['id', 'name'])
    .execute()
  for (const token of revoked) {
    tx.emit({
      type: 'token.revoked',
      actor: 'coordinator',
      runId,
      data: { tokenId: token.id, name: token.name },
    })
  }
}

async function resolveParent(tx: Tx, run: Row<'runs'>, end: RunEnd): Promise<void> {
  if (run.parent_step_instance_id === null) return
  const wait = await tx.db
    .selectFrom('waits')
    .selectAll()
    .where('kind', '=', 'run')
    .where('subject', '=', run.id)
    .where('resolved_at', 'is', null)
    .executeTakeFirst()
  if (wait === undefined) return
  const outputs = end.outputs ?? {}
  await endWait(tx, wait, {
    actor: end.actor,
    resolution:
      end.status === 'succeeded'
        ? { kind: 'succeeded', outputs }
        : {
            kind: 'failed',
            reason: end.reason,
            detail: end.detail ?? `run ${run.id} ${end.status}`,
            outputs,
          },
  })
}
