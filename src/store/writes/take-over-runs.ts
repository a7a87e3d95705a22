import type { RunId } from '../../domain/id.ts'
import type { Tx } from '../transaction.ts'
import { queueAgain } from './expire-leases.ts'
import { isExternal } from './move-run.ts'

export async function takeOverRuns(tx: Tx, input: { holders: readonly string[] }): Promise<readonly RunId[]> {
  if (input.holders.length === 0) return []
  const held = await tx.db
    .selectFrom('runs as r')
    .selectAll('r')
    .where('r.status', '=', 'running')
    .where('r.lease_holder', 'in', input.holders)
    .orderBy('r.id')
    .$if(tx.dialect.supportsSkipLocked, (query) =>
      query.innerJoin('tickets as t', 't.id', 'r.ticket_id').forNoKeyUpdate(['t', 'r']),
    )
    .execute()
  // An outside agent's run is not a coordinator's to go on with; it ends by its lease.
  const ours = held.filter((run) => !isExternal(run))
  for (const run of ours) await queueAgain(tx, run, 'host_gone')
  return ours.map((run) => run.id)
}
