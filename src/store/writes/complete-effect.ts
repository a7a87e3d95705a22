import type { Effect } from '../../domain/effect.ts'
import type { EffectId } from '../../domain/id.ts'
import { isTransition } from '../../domain/status.ts'
import type { EffectOutcome } from '../contract.ts'
import { IllegalTransitionError, NotFoundError } from '../errors.ts'
import { type Row, toEffect, toJson } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { closePullRequest, mergePullRequest, refuseMerge } from './end-pull-request.ts'
import { endWait } from './end-wait.ts'
import { changeRef } from './external-refs.ts'
import { changeTicket, getTicketRow } from './move-ticket.ts'
import { findOpenWait, resolutionOf } from './open-wait.ts'
import { upsertPullRequest } from './upsert-pull-request.ts'
import { enqueueWriteBack } from './write-back.ts'

export async function completeEffect(
  tx: Tx,
  input: { effectId: EffectId; outcome: EffectOutcome },
): Promise<Effect> {
  const { outcome } = input
  const effect = await getEffectRow(tx, input.effectId)
  if (effect.status === 'done') return toEffect(effect)
  if (!isTransition('effect', effect.status, 'done')) {
    throw new IllegalTransitionError('effect', effect.id, effect.status, 'done')
  }
  const refused =
    outcome.kind === 'merge_refused' ? { reason: outcome.reason, detail: outcome.detail } : undefined
  const done = await tx.db
    .updateTable('effects')
    .set({
      status: 'done',
      result: toJson(outcome.result),
      reason: refused?.reason ?? null,
      detail: refused?.detail ?? null,
      finished_at: tx.now,
    })
    .where('id', '=', effect.id)
    .returningAll()
    .executeTakeFirstOrThrow()
  tx.emit({
    type: 'effect.sent',
    actor: 'coordinator',
    ticketId: effect.ticket_id,
    runId: effect.run_id,
    stepInstanceId: effect.step_instance_id,
    data: { effectId: effect.id, kind: effect.kind, outcome: outcome.kind },
  })
  await applyOutcome(tx, outcome)
  await resolveWaiting(tx, done)
  return toEffect(done)
}

async function applyOutcome(tx: Tx, outcome: EffectOutcome): Promise<void> {
  switch (outcome.kind) {
    case 'plain':
      return
    case 'pull_request':
      await upsertPullRequest(tx, outcome.pullRequest)
      return
    case 'pushed': {
      const ticket = await getTicketRow(tx, outcome.ticketId)
      if (ticket.branch !== outcome.branch) await changeTicket(tx, ticket, { branch: outcome.branch })
      return
    }
    case 'written_back':
      return await noteWrittenBack(tx, outcome)
    case 'merged':
      return await mergePullRequest(tx, outcome)
    case 'closed':
      return await closePullRequest(tx, outcome)
    case 'merge_refused':
      return await refuseMerge(tx, outcome)
    default:
      return outcome satisfies never
  }
}

async function noteWrittenBack(
  tx: Tx,
  outcome: Extract<EffectOutcome, { kind: 'written_back' }>,
): Promise<void> {
  const ticket = await getTicketRow(tx, outcome.ticketId)
  await changeRef(tx, ticket, { word: outcome.word ?? undefined, standing: outcome.standing })
  // It went on while that was sent. Going on is told by the take; this may have overtaken it.
  if (outcome.standing === 'ours' && outcome.status !== ticket.status && ticket.status === 'running') {
    await enqueueWriteBack(tx, ticket)
  }
}

/** The effect's row, locked with its ticket's where rows can be locked. */
export async function getEffectRow(tx: Tx, effectId: EffectId): Promise<Row<'effects'>> {
  const row = await tx.db
    .selectFrom('effects as e')
    .innerJoin('tickets as t', 't.id', 'e.ticket_id')
    .selectAll('e')
    .where('e.id', '=', effectId)
    .$if(tx.dialect.supportsSkipLocked, (query) => query.forNoKeyUpdate(['t', 'e']))
    .executeTakeFirst()
  if (row === undefined) throw new NotFoundError('effect', effectId)
  return row
}

/** Whether a step still waits for the effect; one that a person asked for waits for nobody and is always wanted. */
export async function isAwaited(tx: Tx, effect: Row<'effects'>): Promise<boolean> {
  return effect.step_instance_id === null || (await findOpenWait(tx, 'effect', effect.id)) !== undefined
}

/** Ends what waits for an effect that has ended. */
export async function resolveWaiting(tx: Tx, effect: Row<'effects'>): Promise<void> {
  const resolution = resolutionOf(effect)
  const wait = await findOpenWait(tx, 'effect', effect.id)
  if (wait === undefined || resolution === undefined) return
  await endWait(tx, wait, { actor: 'coordinator', resolution })
}
