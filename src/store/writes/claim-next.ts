import type { RunId } from '../../domain/id.ts'
import type { Claim, ClaimInput } from '../contract.ts'
import { type Row, toRun, toTicket } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { findBestCandidate } from './claim-order.ts'
import { insertRun } from './insert-run.ts'
import { aboutRun, actorOf, getRunRow, moveRun } from './move-run.ts'
import { getTicketRow, moveTicket } from './move-ticket.ts'

export async function claimNext(tx: Tx, input: ClaimInput): Promise<Claim | undefined> {
  const candidate = await findBestCandidate(tx)
  if (candidate === undefined) return undefined
  if (candidate.kind === 'new') return await beginRun(tx, candidate.ticket, input)
  return await resumeRun(tx, candidate.runId, input)
}

/** The next run of a ticket that was read in this transaction, held from its first moment. */
export async function beginRun(
  tx: Tx,
  ticket: Row<'tickets'>,
  input: ClaimInput,
  workflow: string | null = null,
): Promise<Claim> {
  const run = await insertRun(tx, ticket, {
    status: 'running',
    workflow,
    lease_holder: input.holder,
    lease_expires_at: tx.now + input.leaseTtlMs,
    lease_epoch: 1,
    started_at: tx.now,
  })
  const claimed = await moveTicket(tx, ticket, 'running', {
    current_run_id: run.id,
    run_count: ticket.run_count + 1,
  })
  const about = { ...aboutRun(run), actor: actorOf(run) }
  tx.emit({ ...about, type: 'ticket.claimed', data: { holder: input.holder, runNumber: run.number } })
  tx.emit({ ...about, type: 'run.claimed', data: { holder: input.holder, epoch: run.lease_epoch } })
  return { kind: 'new', run: toRun(run), ticket: toTicket(claimed) }
}

async function resumeRun(tx: Tx, runId: RunId, input: ClaimInput): Promise<Claim> {
  const queued = await getRunRow(tx, runId)
  const run = await moveRun(tx, queued, 'running', {
    lease_holder: input.holder,
    lease_expires_at: tx.now + input.leaseTtlMs,
    lease_epoch: queued.lease_epoch + 1,
    started_at: queued.started_at ?? tx.now,
  })
  tx.emit({
    ...aboutRun(run),
    type: 'run.claimed',
    actor: 'coordinator',
    data: { holder: input.holder, epoch: run.lease_epoch },
  })
  return { kind: 'resumed', run: toRun(run), ticket: toTicket(await getTicketRow(tx, run.ticket_id)) }
}
