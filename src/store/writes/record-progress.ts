import type { EventType } from '../../domain/event.ts'
import type { JsonObject } from '../../domain/json.ts'
import type { LeaseProof } from '../../domain/run.ts'
import type { Tx } from '../transaction.ts'
import { aboutRun, actorOf, requireLease } from './move-run.ts'

export async function recordProgress(
  tx: Tx,
  input: LeaseProof & { data: JsonObject; type?: EventType },
): Promise<void> {
  const run = await requireLease(tx, input)
  tx.emit({ ...aboutRun(run), type: input.type ?? 'run.progressed', actor: actorOf(run), data: input.data })
}
