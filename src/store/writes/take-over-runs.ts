import type { RunId } from '../../domain/id.ts'
import type { Tx } from '../transaction.ts'
import { queueAgain } from './expire-leases.ts'
import { isExternal } from './move-run.ts'

export async function takeOverRuns(tx: Tx, input: { holders: readonly string[] }): Promise<readonly RunId[]> {
  if (input.holders.length === 0) return []
  const held = await tx.db
    .selectFrom('runs')
    .selectAll()
    .where('status', '=', 'running')
    .where('lease_holder', 'in', input.holders)
    .orderBy('id')
    .execute()
  // An outside agent's run is not a coordinator's to go on with; it ends by its lease.
  const ours = held.filter((run) => !isExternal(run))
  for (const run of ours) await queueAgain(tx, run, 'host_gone')
  return ours.map((run) => run.id)
}
