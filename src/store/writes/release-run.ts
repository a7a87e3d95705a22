import type { LeaseProof } from '../../domain/run.ts'
import type { Tx } from '../transaction.ts'
import { endRun } from './end-run.ts'
import { requeueTicket } from './end-ticket.ts'
import { aboutRun, actorOf, isExternal, moveRun, requireLease } from './move-run.ts'
import { getTicketRow } from './move-ticket.ts'
import { countOpenWaits } from './park-run.ts'
import { settleTicket } from './settle-ticket.ts'

export async function releaseRun(
  tx: Tx,
  input: LeaseProof & { notBefore?: number; detail?: string; openWaitCount?: number },
): Promise<void> {
  const run = await requireLease(tx, input)
  const actor = actorOf(run)
  const detail = input.detail ?? null
  // What resolved since the holder looked makes its delay out of date.
  const isOutdated = (await countOpenWaits(tx, run.id)) < (input.openWaitCount ?? 0)
  const notBefore = isOutdated ? 0 : (input.notBefore ?? 0)
  tx.emit({ ...aboutRun(run), type: 'run.released', actor, data: { notBefore, detail } })
  if (!isExternal(run)) {
    await moveRun(tx, run, 'queued', { not_before: notBefore })
    await settleTicket(tx, run.ticket_id)
    return
  }
  await endRun(tx, run, {
    status: 'canceled',
    reason: 'canceled_by_person',
    detail: detail ?? 'released',
    actor,
  })
  const ticket = await getTicketRow(tx, run.ticket_id)
  await requeueTicket(tx, ticket, { reason: 'canceled_by_person', detail, actor, notBefore })
}
