import type { Tx } from '../transaction.ts'

export async function reviveWriteBacks(tx: Tx, input: { tracker: string }): Promise<number> {
  const dead = await tx.db
    .selectFrom('effects as e')
    .innerJoin('tickets as t', 't.id', 'e.ticket_id')
    .select(['e.id', 'e.ticket_id'])
    .where('e.status', '=', 'dead')
    .where('e.kind', '=', 'write_back_ticket')
    .where('t.tracker', '=', input.tracker)
    // One that was sent after it told the same and more.
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('effects as after')
            .select('after.seq')
            .whereRef('after.ticket_id', '=', 'e.ticket_id')
            .where('after.kind', '=', 'write_back_ticket')
            .whereRef('after.seq', '>', 'e.seq'),
        ),
      ),
    )
    .execute()
  let count = 0
  for (const { id, ticket_id: ticketId } of dead) {
    const revived = await tx.db
      .updateTable('effects')
      .set({ status: 'pending', attempt_count: 0, not_before: 0, finished_at: null })
      .where('id', '=', id)
      .where('status', '=', 'dead')
      .returning('id')
      .executeTakeFirst()
    if (revived === undefined) continue
    count++
    const data = {
      effectId: id,
      kind: 'write_back_ticket',
      reason: null,
      detail: 'tried anew',
      notBefore: null,
    }
    tx.emit({ type: 'effect.retried', actor: 'coordinator', ticketId, data })
  }
  return count
}
