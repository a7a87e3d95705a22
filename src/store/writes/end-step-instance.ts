import type { StepInstanceId } from '../../domain/id.ts'
import type { JsonObject } from '../../domain/json.ts'
import type { Reason } from '../../domain/reason.ts'
import type { LeaseProof } from '../../domain/run.ts'
import { ConflictError } from '../errors.ts'
import { toJsonOrNull } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { cancelWait } from './end-run.ts'
import { aboutRun, actorOf, requireLease } from './move-run.ts'
import { findLiveAttempt, getStepRow, moveStep } from './move-step.ts'

export async function endStepInstance(
  tx: Tx,
  input: LeaseProof & {
    stepInstanceId: StepInstanceId
    status: 'succeeded' | 'failed' | 'skipped' | 'canceled'
    reason?: Reason
    detail?: string
    outputs?: JsonObject
  },
): Promise<void> {
  const run = await requireLease(tx, input)
  const instance = await getStepRow(tx, run.id, input.stepInstanceId)
  if ((await findLiveAttempt(tx, instance.id)) !== undefined) {
    throw new ConflictError(`step ${instance.key} has an attempt that still runs`)
  }
  const why = { reason: input.reason ?? null, detail: input.detail ?? null }
  await cancelOpenWait(tx, instance.id, actorOf(run))
  await moveStep(tx, instance, input.status, { ...why, outputs: toJsonOrNull(input.outputs) })
  tx.emit({
    ...aboutRun(run),
    type: `step.${input.status}`,
    actor: actorOf(run),
    stepInstanceId: instance.id,
    data: { key: instance.key, ...why },
  })
}

async function cancelOpenWait(tx: Tx, instanceId: StepInstanceId, actor: string): Promise<void> {
  const wait = await tx.db
    .selectFrom('waits')
    .selectAll()
    .where('step_instance_id', '=', instanceId)
    .where('resolved_at', 'is', null)
    .executeTakeFirst()
  if (wait !== undefined) await cancelWait(tx, wait, actor)
}
