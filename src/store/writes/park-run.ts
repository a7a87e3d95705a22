import type { LeaseProof } from '../../domain/run.ts'
import type { Tx } from '../transaction.ts'
import { aboutRun, actorOf, moveRun, requireLease } from './move-run.ts'
import { settleTicket } from './settle-ticket.ts'

export async function parkRun(tx: Tx, input: LeaseProof): Promise<boolean> {
  const run = await requireLease(tx, input)
  const wait = await tx.db
    .selectFrom('waits')
    .select('id')
    .where('run_id', '=', run.id)
    .where('resolved_at', 'is', null)
    .limit(1)
    .executeTakeFirst()
  if (wait === undefined) return false
  await moveRun(tx, run, 'waiting')
  tx.emit({ ...aboutRun(run), type: 'run.parked', actor: actorOf(run) })
  await settleTicket(tx, run.ticket_id)
  return true
}
