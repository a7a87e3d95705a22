import type { WaitId } from '../../domain/id.ts'
import type { Wait } from '../../domain/step.ts'
import type { WaitResolution } from '../contract.ts'
import { ConflictError, NotFoundError } from '../errors.ts'
import { toWait } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { endWait } from './end-wait.ts'

export async function resolveWait(
  tx: Tx,
  input: { waitId: WaitId; actor: string; resolution: WaitResolution },
): Promise<Wait> {
  const wait = await tx.db
    .selectFrom('waits as w')
    .innerJoin('runs as r', 'r.id', 'w.run_id')
    .innerJoin('tickets as t', 't.id', 'r.ticket_id')
    .selectAll('w')
    .where('w.id', '=', input.waitId)
    .$if(tx.dialect.supportsSkipLocked, (query) => query.forNoKeyUpdate(['t', 'w']))
    .executeTakeFirst()
  if (wait === undefined) throw new NotFoundError('wait', input.waitId)
  if (wait.resolved_at !== null) throw new ConflictError(`wait ${wait.id} is resolved already`)
  return toWait(await endWait(tx, wait, input))
}
