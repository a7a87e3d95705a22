import type { JsonObject } from '../../domain/json.ts'
import type { Reason } from '../../domain/reason.ts'
import { type Row, toJson } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { changeRef } from './external-refs.ts'
import { moveTicket } from './move-ticket.ts'
import { queueTicket, settleDependents } from './queue-ticket.ts'

export type Why = { readonly reason: Reason; readonly detail: string | null }

/** `done`; unblocks the dependents. */
export async function completeTicket(
  tx: Tx,
  ticket: Row<'tickets'>,
  by: { actor: string; outputs?: JsonObject },
): Promise<Row<'tickets'>> {
  const changes = by.outputs === undefined ? {} : { outputs: toJson(by.outputs) }
  const done = await moveTicket(tx, ticket, 'done', changes)
  tx.emit({ type: 'ticket.done', actor: by.actor, ticketId: ticket.id, runId: ticket.current_run_id })
  await settleDependents(tx, ticket.id)
  return done
}

/** `failed`, as a dead letter when every retry was used up; flags the dependents. */
export async function failTicket(
  tx: Tx,
  ticket: Row<'tickets'>,
  by: Why & { actor: string; isDead: boolean },
): Promise<Row<'tickets'>> {
  const { reason, detail, isDead } = by
  const failed = await moveTicket(tx, ticket, 'failed', { reason, detail, dead_at: isDead ? tx.now : null })
  tx.emit({
    type: 'ticket.failed',
    actor: by.actor,
    ticketId: ticket.id,
    runId: ticket.current_run_id,
    data: { reason, detail, isDead },
  })
  await settleDependents(tx, ticket.id)
  return failed
}

/** `canceled`; flags the dependents. With `seenWord` somebody else has it in its tracker. */
export async function cancelTicketRow(
  tx: Tx,
  ticket: Row<'tickets'>,
  by: Why & { actor: string; seenWord?: string | undefined },
): Promise<Row<'tickets'>> {
  const { reason, detail, seenWord } = by
  const isElsewhere = seenWord !== undefined || reason === 'gone_from_tracker'
  if (ticket.tracker !== null && isElsewhere) {
    await changeRef(tx, ticket, { word: seenWord, standing: 'elsewhere' })
  }
  const canceled = await moveTicket(tx, ticket, 'canceled', { reason, detail })
  tx.emit({ type: 'ticket.canceled', actor: by.actor, ticketId: ticket.id, data: { reason, detail } })
  await settleDependents(tx, ticket.id)
  return canceled
}

/** Back to the queue for a further run, not before that instant; the reason tells what went wrong before. */
export async function requeueTicket(
  tx: Tx,
  ticket: Row<'tickets'>,
  by: Why & { actor: string; notBefore: number; runCount?: number },
): Promise<Row<'tickets'>> {
  const { reason, detail, notBefore, runCount } = by
  const queued = await queueTicket(tx, ticket, {
    reason,
    detail,
    not_before: notBefore,
    ...(runCount === undefined ? {} : { run_count: runCount }),
  })
  tx.emit({
    type: 'ticket.requeued',
    actor: by.actor,
    ticketId: ticket.id,
    data: { reason, detail, notBefore },
  })
  return queued
}
