import type { RunId } from '../../domain/id.ts'
import type { Run } from '../../domain/run.ts'
import { isTerminal } from '../../domain/status.ts'
import { toRun } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { cancelTicket } from './cancel-ticket.ts'
import { endOrAsk } from './end-run.ts'
import { getRunRow } from './move-run.ts'
import { settleTicket } from './settle-ticket.ts'

/** Asks the coordinator that drives the run to end it; a run that none drives ends here, and its ticket. */
export async function requestRunCancel(tx: Tx, input: { runId: RunId; actor: string }): Promise<Run> {
  const run = await getRunRow(tx, input.runId)
  if (isTerminal('run', run.status)) return toRun(run)
  if (run.parent_step_instance_id === null) {
    await cancelTicket(tx, { ticketId: run.ticket_id, actor: input.actor })
  } else {
    await endOrAsk(tx, run, {
      status: 'canceled',
      reason: 'canceled_by_person',
      detail: null,
      actor: input.actor,
    })
    await settleTicket(tx, run.ticket_id)
  }
  return toRun(await getRunRow(tx, run.id))
}
