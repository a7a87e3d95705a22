import type { RunId, TicketId } from '../../domain/id.ts'
import type { Reason } from '../../domain/reason.ts'
import type { WaitKind } from '../../domain/step.ts'
import type { Row } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { changeTicket, getTicketRow, moveTicket } from './move-ticket.ts'

/** What a waiting ticket says, the waits that need a person first. */
const WAIT_REASONS: readonly (readonly [WaitKind, Reason])[] = [
  ['approval', 'waiting_for_approval'],
  ['question', 'waiting_for_answer'],
  ['signal', 'waiting_for_signal'],
  ['effect', 'waiting_for_effect'],
  ['timer', 'waiting_for_time'],
  ['run', 'waiting_for_run'],
]

/**
 * Brings a ticket that is being worked on in line with its run and the child runs below it: `running` while one
 * of them runs or is queued, `waiting` when all of them wait.
 */
export async function settleTicket(tx: Tx, ticketId: TicketId): Promise<void> {
  const ticket = await getTicketRow(tx, ticketId)
  if (ticket.status !== 'running' && ticket.status !== 'waiting') return
  const runs = await listLiveRuns(tx, ticketId)
  if (runs.length === 0) return
  if (runs.some((run) => run.status !== 'waiting')) {
    if (ticket.status === 'waiting') await moveTicket(tx, ticket, 'running')
    return
  }
  const why = await whyWaiting(
    tx,
    runs.map((run) => run.id),
  )
  if (why.reason === ticket.reason && why.detail === ticket.detail && ticket.status === 'waiting') return
  tx.emit({ type: 'ticket.waiting', actor: 'coordinator', ticketId, data: why })
  if (ticket.status === 'waiting') await changeTicket(tx, ticket, why)
  else await moveTicket(tx, ticket, 'waiting', why)
}

/** The ticket's live run and the live runs started from it; runs left over from an ended parent are not counted. */
async function listLiveRuns(
  tx: Tx,
  ticketId: TicketId,
): Promise<readonly Pick<Row<'runs'>, 'id' | 'status'>[]> {
  const live = await tx.db
    .selectFrom('runs as r')
    .leftJoin('steps as parent', 'parent.id', 'r.parent_step_instance_id')
    .select(['r.id', 'r.status', 'r.parent_step_instance_id', 'parent.run_id as parent_run_id'])
    .where('r.ticket_id', '=', ticketId)
    .where('r.status', 'in', ['queued', 'running', 'waiting'])
    .execute()
  const kept = live.filter((run) => run.parent_step_instance_id === null)
  const keptIds = new Set<RunId>(kept.map((run) => run.id))
  for (let found = true; found; ) {
    found = false
    for (const run of live) {
      if (keptIds.has(run.id) || run.parent_run_id === null || !keptIds.has(run.parent_run_id)) continue
      kept.push(run)
      keptIds.add(run.id)
      found = true
    }
  }
  return kept
}

async function whyWaiting(tx: Tx, runIds: readonly RunId[]): Promise<{ reason: Reason; detail: string }> {
  const waits = await tx.db
    .selectFrom('waits')
    .select(['kind', 'subject'])
    .where('run_id', 'in', runIds)
    .where('resolved_at', 'is', null)
    .orderBy('created_at')
    .orderBy('id')
    .execute()
  for (const [kind, reason] of WAIT_REASONS) {
    const wait = waits.find((candidate) => candidate.kind === kind)
    if (wait !== undefined) return { reason, detail: wait.subject }
  }
  return { reason: 'waiting_for_time', detail: 'parked' }
}
