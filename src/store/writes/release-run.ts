import type { TicketId } from '../../domain/id.ts'
import type { ReleaseRunInput } from '../contract.ts'
import type { Tx } from '../transaction.ts'
import { endRun } from './end-run.ts'
import { requeueTicket, type Why } from './end-ticket.ts'
import { aboutRun, actorOf, isExternal, moveRun, requireLease } from './move-run.ts'
import { changeTicket, getTicketRow } from './move-ticket.ts'
import { countOpenWaits } from './park-run.ts'
import { settleTicket } from './settle-ticket.ts'

export async function releaseRun(tx: Tx, input: ReleaseRunInput): Promise<void> {
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
    if (input.reason !== undefined) await sayWhy(tx, run.ticket_id, { reason: input.reason, detail })
    return
  }
  const reason = input.reason ?? 'canceled_by_person'
  await endRun(tx, run, { status: 'canceled', reason, detail: detail ?? 'released', actor })
  const ticket = await getTicketRow(tx, run.ticket_id)
  // What kept it from beginning was not the agent's: it is no run that was tried.
  const runCount = input.reason === undefined ? ticket.run_count : ticket.run_count - 1
  await requeueTicket(tx, ticket, { reason, detail, actor, notBefore, runCount })
}

/** A ticket whose run waits in the queue says what for. */
async function sayWhy(tx: Tx, ticketId: TicketId, why: Why): Promise<void> {
  const ticket = await getTicketRow(tx, ticketId)
  if (ticket.reason !== why.reason || ticket.detail !== why.detail) await changeTicket(tx, ticket, why)
}
