import type { RunId } from '../../domain/id.ts'
import type { LeaseProof } from '../../domain/run.ts'
import type { Tx } from '../transaction.ts'
import { aboutRun, actorOf, moveRun, requireLease } from './move-run.ts'
import { settleTicket } from './settle-ticket.ts'

export async function parkRun(tx: Tx, input: LeaseProof & { openWaitCount?: number }): Promise<boolean> {
  const run = await requireLease(tx, input)
  const count = await countOpenWaits(tx, run.id)
  if (count === 0 || count < (input.openWaitCount ?? 1)) return false
  await moveRun(tx, run, 'waiting')
  tx.emit({ ...aboutRun(run), type: 'run.parked', actor: actorOf(run) })
  await settleTicket(tx, run.ticket_id)
  return true
}

export async function countOpenWaits(tx: Tx, runId: RunId): Promise<number> {
  const row = await tx.db
    .selectFrom('waits')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('run_id', '=', runId)
    .where('resolved_at', 'is', null)
    .executeTakeFirstOrThrow()
  return Number(row.count)
}
