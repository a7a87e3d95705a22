import type { AttemptId, SandboxId } from '../../domain/id.ts'
import type { JsonObject } from '../../domain/json.ts'
import type { LeaseProof } from '../../domain/run.ts'
import type { AttemptPhase } from '../../domain/step.ts'
import { ConflictError } from '../errors.ts'
import { toJson } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { aboutRun, actorOf, requireLease } from './move-run.ts'
import { getAttemptRow } from './move-step.ts'

export async function advanceAttempt(
  tx: Tx,
  input: LeaseProof & {
    attemptId: AttemptId
    phase: AttemptPhase
    handle: JsonObject
    sandboxId?: SandboxId | null
  },
): Promise<void> {
  const run = await requireLease(tx, input)
  const attempt = await getAttemptRow(tx, run.id, input.attemptId)
  if (attempt.status !== 'running') {
    throw new ConflictError(`attempt ${attempt.id} has ended as ${attempt.status}`)
  }
  await tx.db
    .updateTable('attempts')
    .set({
      phase: input.phase,
      handle: toJson(input.handle),
      ...(input.sandboxId === undefined ? {} : { sandbox_id: input.sandboxId }),
    })
    .where('id', '=', attempt.id)
    .execute()
  if (attempt.phase === input.phase) return
  tx.emit({
    ...aboutRun(run),
    type: 'attempt.phase_changed',
    actor: actorOf(run),
    stepInstanceId: attempt.step_instance_id,
    attempt: attempt.number,
    data: { phase: input.phase },
  })
}
