import { isOfEndedTicket, PRUNED_SEQ } from '../reads/prunable-events.ts'
import type { Tx } from '../transaction.ts'

export async function pruneEvents(tx: Tx, input: { seqs: readonly number[] }): Promise<number> {
  if (input.seqs.length === 0) return 0
  const gone = await tx.db
    .deleteFrom('events')
    .where('seq', 'in', input.seqs)
    // Asked again: a person may have put the ticket back since.
    .where(isOfEndedTicket())
    .returning('seq')
    .execute()
  if (gone.length > 0) await notePruned(tx, Math.max(...gone.map(({ seq }) => Number(seq))))
  return gone.length
}

/** In the same transaction, so that no reader finds a gap that nobody tells it of. */
async function notePruned(tx: Tx, seq: number): Promise<void> {
  await tx.db
    .insertInto('counters')
    .values({ name: PRUNED_SEQ, value: 0 })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute()
  await tx.db
    .updateTable('counters')
    .set({ value: seq })
    .where('name', '=', PRUNED_SEQ)
    .where('value', '<', seq)
    .execute()
}
