import type { LeaseProof, Run } from '../../domain/run.ts'
import { isTerminal } from '../../domain/status.ts'
import type { Ticket } from '../../domain/ticket.ts'
import type { RunOutcome } from '../contract.ts'
import { type Row, toJson, toRun, toTicket } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { endRun } from './end-run.ts'
import { cancelTicketRow, completeTicket, failTicket, requeueTicket } from './end-ticket.ts'
import { actorOf, findRunRow, requireLease } from './move-run.ts'
import { getTicketRow, moveTicket } from './move-ticket.ts'
import { settleTicket } from './settle-ticket.ts'

export async function finishRun(
  tx: Tx,
  input: LeaseProof & { outcome: RunOutcome },
): Promise<{ run: Run; ticket: Ticket }> {
  const recorded = await findRecorded(tx, input)
  if (recorded !== undefined) {
    return { run: toRun(recorded), ticket: toTicket(await getTicketRow(tx, recorded.ticket_id)) }
  }
  const run = await requireLease(tx, input)
  const outcome = withReasonAsked(input.outcome, run)
  const actor = actorOf(run)
  const ended = await endRun(
    tx,
    run,
    outcome.status === 'succeeded'
      ? { status: 'succeeded', outputs: outcome.outputs, actor, reportedBy: input.holder }
      : {
          status: outcome.status,
          reason: outcome.reason,
          detail: outcome.detail,
          outputs: outcome.status === 'failed' ? outcome.outputs : undefined,
          actor,
          reportedBy: input.holder,
        },
  )
  const ticket = await getTicketRow(tx, run.ticket_id)
  if (run.parent_step_instance_id !== null) {
    await settleTicket(tx, ticket.id)
    return { run: toRun(ended), ticket: toTicket(await getTicketRow(tx, ticket.id)) }
  }
  return { run: toRun(ended), ticket: toTicket(await moveTicketOf(tx, ticket, outcome, actor)) }
}

/** Who asked for the end knows better why than who obeyed. */
function withReasonAsked(outcome: RunOutcome, run: Row<'runs'>): RunOutcome {
  if (outcome.status !== 'canceled' || run.cancel_requested_at === null) return outcome
  return {
    ...outcome,
    reason: run.cancel_reason ?? outcome.reason,
    detail: run.cancel_detail ?? outcome.detail,
  }
}

/** The same report again, because its answer was lost: the run as it was recorded. */
async function findRecorded(
  tx: Tx,
  input: LeaseProof & { outcome: RunOutcome },
): Promise<Row<'runs'> | undefined> {
  const run = await findRunRow(tx, input.runId)
  if (run === undefined || !isTerminal('run', run.status)) return undefined
  const isSameReport =
    run.finished_by === input.holder && run.lease_epoch === input.epoch && run.status === input.outcome.status
  return isSameReport ? run : undefined
}

async function moveTicketOf(
  tx: Tx,
  ticket: Row<'tickets'>,
  outcome: RunOutcome,
  actor: string,
): Promise<Row<'tickets'>> {
  switch (outcome.status) {
    case 'succeeded':
      if (outcome.ticket === 'done')
        return await completeTicket(tx, ticket, { actor, outputs: outcome.outputs })
      return await moveToReview(tx, ticket, toJson(outcome.outputs), actor)
    case 'failed': {
      const why = { reason: outcome.reason, detail: outcome.detail, actor }
      if (outcome.ticket.kind === 'requeue') {
        return await requeueTicket(tx, ticket, { ...why, notBefore: outcome.ticket.notBefore })
      }
      return await failTicket(tx, ticket, { ...why, isDead: outcome.ticket.kind === 'dead' })
    }
    case 'canceled':
      return await cancelTicketRow(tx, ticket, {
        reason: outcome.reason,
        detail: outcome.detail,
        seenWord: outcome.seenWord,
        actor,
      })
    default:
      return outcome satisfies never
  }
}

/** What people did to the pull request while the run still ran decides first. */
async function moveToReview(
  tx: Tx,
  ticket: Row<'tickets'>,
  outputs: string,
  actor: string,
): Promise<Row<'tickets'>> {
  const review = await moveTicket(tx, ticket, 'review', { reason: 'waiting_for_review', outputs })
  tx.emit({ type: 'ticket.in_review', actor, ticketId: ticket.id, runId: ticket.current_run_id })
  if (ticket.pull_request_id === null) return review
  const pullRequest = await tx.db
    .selectFrom('pull_requests')
    .select(['status', 'review_state'])
    .where('id', '=', ticket.pull_request_id)
    .executeTakeFirst()
  if (pullRequest?.status === 'merged') return await completeTicket(tx, review, { actor })
  if (pullRequest?.status === 'closed') {
    const why = { reason: 'pull_request_closed', detail: 'closed without merge' } as const
    return await failTicket(tx, review, { ...why, actor, isDead: false })
  }
  if (pullRequest?.review_state === 'changes_requested' && (await wasReviewedDuringRun(tx, ticket))) {
    const why = { reason: 'changes_requested', detail: 'changes were requested' } as const
    return await requeueTicket(tx, review, { ...why, actor, notBefore: 0, runCount: 0 })
  }
  return review
}

/** A request from before the run is what it was begun for. Were it to count again, a run that changes nothing would follow another without an end. */
async function wasReviewedDuringRun(tx: Tx, ticket: Row<'tickets'>): Promise<boolean> {
  const begin = tx.db
    .selectFrom('events')
    .select(({ fn }) => fn.min('seq').as('seq'))
    .where('run_id', '=', ticket.current_run_id)
  const review = await tx.db
    .selectFrom('events')
    .select('seq')
    .where('ticket_id', '=', ticket.id)
    .where('type', '=', 'pull_request.reviewed')
    .where('seq', '>', begin)
    .limit(1)
    .executeTakeFirst()
  return review !== undefined
}
