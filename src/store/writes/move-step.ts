import type { Updateable } from 'kysely'
import type { AttemptId, RunId, StepInstanceId } from '../../domain/id.ts'
import { type AttemptStatus, isTerminal, isTransition, type StepStatus } from '../../domain/status.ts'
import { ConflictError, IllegalTransitionError, NotFoundError } from '../errors.ts'
import type { Row } from '../rows.ts'
import type { AttemptsTable, StepsTable } from '../schema.ts'
import type { Tx } from '../transaction.ts'

export async function moveStep(
  tx: Tx,
  instance: Row<'steps'>,
  to: StepStatus,
  changes: Updateable<StepsTable> = {},
): Promise<Row<'steps'>> {
  if (!isTransition('step', instance.status, to)) {
    throw new IllegalTransitionError('step', instance.key, instance.status, to)
  }
  const moved = await tx.db
    .updateTable('steps')
    .set({ ...changes, status: to, ...(isTerminal('step', to) ? { finished_at: tx.now } : {}) })
    .where('id', '=', instance.id)
    .where('status', '=', instance.status)
    .returningAll()
    .executeTakeFirst()
  if (moved === undefined) throw new ConflictError(`step ${instance.key} was changed at the same moment`)
  return moved
}

/** The instance, if it belongs to the run. */
export async function getStepRow(tx: Tx, runId: RunId, id: StepInstanceId): Promise<Row<'steps'>> {
  const row = await tx.db
    .selectFrom('steps')
    .selectAll()
    .where('id', '=', id)
    .where('run_id', '=', runId)
    .executeTakeFirst()
  if (row === undefined) throw new NotFoundError(`step instance of run ${runId}`, id)
  return row
}

export async function moveAttempt(
  tx: Tx,
  attempt: Row<'attempts'>,
  to: AttemptStatus,
  changes: Updateable<AttemptsTable> = {},
): Promise<Row<'attempts'>> {
  if (!isTransition('attempt', attempt.status, to)) {
    throw new IllegalTransitionError('attempt', attempt.id, attempt.status, to)
  }
  return await tx.db
    .updateTable('attempts')
    .set({ ...changes, status: to, finished_at: tx.now })
    .where('id', '=', attempt.id)
    .where('status', '=', attempt.status)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** The attempt, if it belongs to the run. */
export async function getAttemptRow(tx: Tx, runId: RunId, id: AttemptId): Promise<Row<'attempts'>> {
  const row = await tx.db
    .selectFrom('attempts')
    .selectAll()
    .where('id', '=', id)
    .where('run_id', '=', runId)
    .executeTakeFirst()
  if (row === undefined) throw new NotFoundError(`attempt of run ${runId}`, id)
  return row
}

export async function findLiveAttempt(tx: Tx, id: StepInstanceId): Promise<Row<'attempts'> | undefined> {
  return await tx.db
    .selectFrom('attempts')
    .selectAll()
    .where('step_instance_id', '=', id)
    .where('status', '=', 'running')
    .executeTakeFirst()
}
