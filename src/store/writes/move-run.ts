import type { Updateable } from 'kysely'
import type { RunId } from '../../domain/id.ts'
import { EXTERNAL_WORKFLOW, type LeaseProof } from '../../domain/run.ts'
import { isTerminal, isTransition, type RunStatus } from '../../domain/status.ts'
import { ConflictError, IllegalTransitionError, LeaseLostError, NotFoundError } from '../errors.ts'
import { prepareQuery } from '../prepared-query.ts'
import type { Row } from '../rows.ts'
import type { RunsTable } from '../schema.ts'
import type { Tx } from '../transaction.ts'

/** Moves the run along the table of transitions. A run that is not `running` afterwards is held by nobody. */
export async function moveRun(
  tx: Tx,
  run: Row<'runs'>,
  to: RunStatus,
  changes: Updateable<RunsTable> = {},
): Promise<Row<'runs'>> {
  if (!isTransition('run', run.status, to)) throw new IllegalTransitionError('run', run.id, run.status, to)
  const moved = await tx.db
    .updateTable('runs')
    .set({
      ...(to === 'running' ? {} : { lease_holder: null, lease_expires_at: null }),
      ...(to === 'queued' ? { queued_at: tx.now } : {}),
      ...(isTerminal('run', to) ? { finished_at: tx.now } : {}),
      ...changes,
      status: to,
    })
    .where('id', '=', run.id)
    .where('status', '=', run.status)
    .where('lease_epoch', '=', run.lease_epoch)
    .returningAll()
    .executeTakeFirst()
  if (moved === undefined) throw new ConflictError(`run ${run.id} was changed at the same moment`)
  return moved
}

/** The run, if it is `running` under exactly this holder and epoch. */
export async function requireLease(tx: Tx, proof: LeaseProof): Promise<Row<'runs'>> {
  const run = await findRunRow(tx, proof.runId)
  if (run?.status !== 'running' || run.lease_holder !== proof.holder || run.lease_epoch !== proof.epoch) {
    throw new LeaseLostError(proof.runId, proof.epoch)
  }
  return run
}

export async function getRunRow(tx: Tx, runId: RunId): Promise<Row<'runs'>> {
  const run = await findRunRow(tx, runId)
  if (run === undefined) throw new NotFoundError('run', runId)
  return run
}

/**
 * The run's row, locked with its ticket's where rows can be locked. NOTE: the ticket always first: whoever changes
 * anything of a ticket holds its row, so that changes of one ticket never meet half-way, nor wait for each other.
 */
export async function findRunRow(tx: Tx, runId: RunId): Promise<Row<'runs'> | undefined> {
  const [row] = await selectRun(tx, { runId })
  return row
}

const selectRun = prepareQuery(({ db, dialect }, { runId }: { readonly runId: RunId }) => {
  if (!dialect.supportsSkipLocked) return db.selectFrom('runs').selectAll().where('id', '=', runId)
  return db
    .selectFrom('runs as r')
    .innerJoin('tickets as t', 't.id', 'r.ticket_id')
    .selectAll('r')
    .where('r.id', '=', runId)
    .forNoKeyUpdate(['t', 'r'])
})

/** Whether an outside agent drives it, through the API. */
export function isExternal(run: Row<'runs'>): boolean {
  return run.workflow === EXTERNAL_WORKFLOW
}

/** Who acts when the holder of the run writes. */
export function actorOf(run: Row<'runs'>): string {
  return isExternal(run) && run.lease_holder !== null ? `agent:${run.lease_holder}` : 'coordinator'
}

/** What an event about the run names. */
export function aboutRun(run: Row<'runs'>): { ticketId: Row<'runs'>['ticket_id']; runId: RunId } {
  return { ticketId: run.ticket_id, runId: run.id }
}
