import type { StepInstanceId } from '../../domain/id.ts'
import type { JsonObject } from '../../domain/json.ts'
import type { LeaseProof } from '../../domain/run.ts'
import type { Attempt } from '../../domain/step.ts'
import { ConflictError, IllegalTransitionError } from '../errors.ts'
import { toAttempt, toJson } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { aboutRun, actorOf, requireLease } from './move-run.ts'
import { getStepRow, moveStep } from './move-step.ts'

export async function startAttempt(
  tx: Tx,
  input: LeaseProof & { stepInstanceId: StepInstanceId; inputs: JsonObject; baseCommit?: string | null },
): Promise<Attempt> {
  const run = await requireLease(tx, input)
  const instance = await getStepRow(tx, run.id, input.stepInstanceId)
  if (instance.status !== 'pending') {
    throw new IllegalTransitionError('step', instance.key, instance.status, 'running')
  }
  if (instance.not_before > tx.now) {
    throw new ConflictError(
      `step ${instance.key} is not tried before ${new Date(instance.not_before).toISOString()}`,
    )
  }
  const number = instance.attempt_count + 1
  await moveStep(tx, instance, 'running', {
    attempt_count: number,
    inputs: instance.inputs ?? toJson(input.inputs),
    started_at: instance.started_at ?? tx.now,
    reason: null,
    detail: null,
  })
  const attempt = await tx.db
    .insertInto('attempts')
    .values({
      id: tx.newId('attempt'),
      run_id: run.id,
      step_instance_id: instance.id,
      number,
      status: 'running',
      phase: 'launching',
      reason: null,
      detail: null,
      sandbox_id: null,
      handle: null,
      exit_code: null,
      outputs: null,
      base_commit: input.baseCommit ?? null,
      result_commit: null,
      started_at: tx.now,
      finished_at: null,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  const about = { ...aboutRun(run), actor: actorOf(run), stepInstanceId: instance.id, attempt: number }
  if (number === 1) tx.emit({ ...about, type: 'step.started', data: { key: instance.key } })
  tx.emit({ ...about, type: 'attempt.started', data: { key: instance.key } })
  return toAttempt(attempt)
}
