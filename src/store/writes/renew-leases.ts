import type { RunId } from '../../domain/id.ts'
import type { LeaseRenewal } from '../contract.ts'
import type { Tx } from '../transaction.ts'

export async function renewLeases(
  tx: Tx,
  input: { holder: string; leaseTtlMs: number; runs: readonly { runId: RunId; epoch: number }[] },
): Promise<LeaseRenewal> {
  const held = await tx.db
    .selectFrom('runs')
    .select(['id', 'lease_epoch', 'cancel_requested_at'])
    .where('status', '=', 'running')
    .where('lease_holder', '=', input.holder)
    .orderBy('id')
    .$if(tx.dialect.supportsSkipLocked, (query) => query.forNoKeyUpdate())
    .execute()
  const heldById = new Map(held.map((run) => [run.id, run]))
  const ours = input.runs.filter(({ runId, epoch }) => heldById.get(runId)?.lease_epoch === epoch)
  if (ours.length > 0) {
    await tx.db
      .updateTable('runs')
      .set({ lease_expires_at: tx.now + input.leaseTtlMs })
      .where('status', '=', 'running')
      .where('lease_holder', '=', input.holder)
      .where(
        'id',
        'in',
        ours.map(({ runId }) => runId),
      )
      .execute()
  }
  const isOurs = new Set(ours.map(({ runId }) => runId))
  return {
    lost: input.runs.filter(({ runId }) => !isOurs.has(runId)).map(({ runId }) => runId),
    cancelRequested: [...isOurs].filter((runId) => heldById.get(runId)?.cancel_requested_at != null),
  }
}
