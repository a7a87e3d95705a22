import type { TicketId } from '../../domain/id.ts'
import { isTerminal } from '../../domain/status.ts'
import type { Ticket } from '../../domain/ticket.ts'
import type { CancelTicketInput } from '../contract.ts'
import { VersionConflictError } from '../errors.ts'
import { type Row, toTicket } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { askToEnd, endRun } from './end-run.ts'
import { cancelTicketRow } from './end-ticket.ts'
import { changeRef } from './external-refs.ts'
import { findRunRow, isExternal } from './move-run.ts'
import { getTicketRow } from './move-ticket.ts'

export async function cancelTicket(tx: Tx, input: CancelTicketInput): Promise<Ticket> {
  const { actor, expectedVersion, seenWord, reason = 'canceled_by_person', detail = null } = input
  const ticket = await getTicketRow(tx, input.ticketId)
  if (expectedVersion !== undefined && expectedVersion !== ticket.version) {
    throw new VersionConflictError(`ticket ${ticket.key}`, expectedVersion, ticket.version)
  }
  if (isTerminal('ticket', ticket.status)) return toTicket(ticket)
  const why = { reason, detail, actor }

  const runs = await listLiveRuns(tx, ticket.id)
  if (runs.some((run) => run.status === 'running' && !isExternal(run))) {
    // A coordinator still has processes out there: it ends them, then the runs, then the ticket.
    for (const run of runs) await askToEnd(tx, run, actor, why)
    if (ticket.tracker !== null && seenWord !== undefined) {
      await changeRef(tx, ticket, { word: seenWord, standing: 'elsewhere' })
    }
    return toTicket(await getTicketRow(tx, ticket.id))
  }
  // Top-level runs first: ending one ends the runs below it.
  for (const { id } of runs) {
    const run = await findRunRow(tx, id)
    if (run !== undefined && run.finished_at === null) await endRun(tx, run, { status: 'canceled', ...why })
  }
  return toTicket(await cancelTicketRow(tx, await getTicketRow(tx, ticket.id), { ...why, seenWord }))
}

async function listLiveRuns(tx: Tx, ticketId: TicketId): Promise<readonly Row<'runs'>[]> {
  const runs = await tx.db
    .selectFrom('runs')
    .selectAll()
    .where('ticket_id', '=', ticketId)
    .where('finished_at', 'is', null)
    .orderBy('number')
    .execute()
  return runs.toSorted((a, b) => depth(a) - depth(b))
}

function depth(run: Row<'runs'>): number {
  return run.parent_step_instance_id === null ? 0 : 1
}
