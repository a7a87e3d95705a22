import { sql } from 'kysely'
import type { RunId } from '../../domain/id.ts'
import type { Reason } from '../../domain/reason.ts'
import { prepareQuery } from '../prepared-query.ts'
import type { Row } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { endRun } from './end-run.ts'
import { failTicket, requeueTicket } from './end-ticket.ts'
import { aboutRun, isExternal, moveRun } from './move-run.ts'
import { getTicketRow } from './move-ticket.ts'
import { settleTicket } from './settle-ticket.ts'

export async function expireLeases(
  tx: Tx,
  input: { runCountMax: number; retryDelayMs: number },
): Promise<readonly RunId[]> {
  const expired = await selectExpired(tx, { now: tx.now })
  for (const run of expired) {
    if (isExternal(run)) await failAbandoned(tx, run, input)
    else await queueAgain(tx, run, 'lease_expired')
  }
  return expired.map((run) => run.id)
}

/** What another transaction holds is left to it, or to the next look. */
const selectExpired = prepareQuery(({ db, dialect }, { now }: { readonly now: number }) =>
  db
    .selectFrom('runs as r')
    .selectAll('r')
    .where('r.status', '=', sql.lit('running'))
    .where('r.lease_expires_at', '<=', now)
    .orderBy('r.lease_expires_at')
    .$if(dialect.supportsSkipLocked, (query) =>
      query.innerJoin('tickets as t', 't.id', 'r.ticket_id').forNoKeyUpdate(['t', 'r']).skipLocked(),
    ),
)

/** The run is offered to others; whoever held it has an epoch that is stale from the next claim on. */
export async function queueAgain(tx: Tx, run: Row<'runs'>, reason: Reason): Promise<void> {
  tx.emit({
    ...aboutRun(run),
    type: 'run.lease_expired',
    actor: 'coordinator',
    data: { holder: run.lease_holder, epoch: run.lease_epoch, reason },
  })
  await moveRun(tx, run, 'queued', { not_before: 0 })
  await settleTicket(tx, run.ticket_id)
}

async function failAbandoned(
  tx: Tx,
  run: Row<'runs'>,
  input: { runCountMax: number; retryDelayMs: number },
): Promise<void> {
  const why = {
    reason: 'lease_expired',
    detail: `${run.lease_holder} fell silent`,
    actor: 'coordinator',
  } as const
  await endRun(tx, run, { status: 'failed', ...why })
  const ticket = await getTicketRow(tx, run.ticket_id)
  if (ticket.run_count >= input.runCountMax) await failTicket(tx, ticket, { ...why, isDead: true })
  else await requeueTicket(tx, ticket, { ...why, notBefore: tx.now + input.retryDelayMs })
}
