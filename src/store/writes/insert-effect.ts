import type { RunId, StepInstanceId, TicketId } from '../../domain/id.ts'
import type { NewEffect } from '../contract.ts'
import { type Row, toJson } from '../rows.ts'
import type { Tx } from '../transaction.ts'

export type EnqueueEffectInput = NewEffect & {
  readonly ticketId: TicketId
  readonly runId?: RunId
  readonly stepInstanceId?: StepInstanceId
  readonly actor: string
}

/** Adds to the outbox; a second enqueue with the same key gives back the first. */
export async function insertEffect(tx: Tx, input: EnqueueEffectInput): Promise<Row<'effects'>> {
  const inserted = await tx.db
    .insertInto('effects')
    .values({
      id: tx.newId('effect'),
      key: input.key,
      kind: input.kind,
      ticket_id: input.ticketId,
      run_id: input.runId ?? null,
      step_instance_id: input.stepInstanceId ?? null,
      payload: toJson(input.payload),
      status: 'pending',
      attempt_count: 0,
      not_before: 0,
      result: null,
      reason: null,
      detail: null,
      created_at: tx.now,
      finished_at: null,
    })
    .onConflict((conflict) => conflict.column('key').doNothing())
    .returningAll()
    .executeTakeFirst()
  if (inserted === undefined) {
    return await tx.db
      .selectFrom('effects')
      .selectAll()
      .where('key', '=', input.key)
      .executeTakeFirstOrThrow()
  }
  tx.emit({
    type: 'effect.enqueued',
    actor: input.actor,
    ticketId: input.ticketId,
    runId: input.runId ?? null,
    stepInstanceId: input.stepInstanceId ?? null,
    data: { effectId: inserted.id, kind: input.kind, key: input.key },
  })
  return inserted
}
