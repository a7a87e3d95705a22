import type { SandboxEntry } from '../../domain/records.ts'
import type { LeaseProof } from '../../domain/run.ts'
import { ConflictError } from '../errors.ts'
import { toSandboxEntry } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { aboutRun, actorOf, requireLease } from './move-run.ts'
import { getAttemptRow, getStepRow } from './move-step.ts'

export async function createSandboxEntry(
  tx: Tx,
  input: LeaseProof & Pick<SandboxEntry, 'id' | 'hostId' | 'driver' | 'stepInstanceId' | 'attemptId'>,
): Promise<SandboxEntry> {
  const run = await requireLease(tx, input)
  const instance = await getStepRow(tx, run.id, input.stepInstanceId)
  const attempt = await getAttemptRow(tx, run.id, input.attemptId)
  const live = await tx.db
    .selectFrom('sandboxes')
    .select('id')
    .where('step_instance_id', '=', instance.id)
    .where('status', 'in', ['creating', 'ready', 'stopping'])
    .executeTakeFirst()
  if (live !== undefined) {
    throw new ConflictError(
      `step ${instance.key} has the live sandbox ${live.id}: it must be known to be gone first`,
    )
  }
  const row = await tx.db
    .insertInto('sandboxes')
    .values({
      id: input.id,
      host_id: input.hostId,
      driver: input.driver,
      run_id: run.id,
      step_instance_id: instance.id,
      attempt_id: attempt.id,
      status: 'creating',
      reason: null,
      created_at: tx.now,
      ended_at: null,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  tx.emit({
    ...aboutRun(run),
    type: 'sandbox.created',
    actor: actorOf(run),
    stepInstanceId: instance.id,
    attempt: attempt.number,
    data: { sandboxId: row.id, driver: row.driver },
  })
  return toSandboxEntry(row)
}
