import type { AttemptId } from '../../domain/id.ts'
import type { JsonObject } from '../../domain/json.ts'
import type { Usage } from '../../domain/records.ts'
import type { LeaseProof } from '../../domain/run.ts'
import type { NewArtifact } from '../contract.ts'
import { toJson } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { insertArtifact } from './add-artifact.ts'
import { addUsage } from './add-usage.ts'
import { aboutRun, actorOf, requireLease } from './move-run.ts'
import { getAttemptRow, getStepRow, moveAttempt, moveStep } from './move-step.ts'

export async function succeedAttempt(
  tx: Tx,
  input: LeaseProof & {
    attemptId: AttemptId
    outputs: JsonObject
    exitCode?: number | null
    resultCommit?: string | null
    artifacts?: readonly NewArtifact[]
    usage?: readonly Omit<Usage, 'runId' | 'stepInstanceId' | 'attempt' | 'createdAt'>[]
  },
): Promise<void> {
  const run = await requireLease(tx, input)
  const attempt = await getAttemptRow(tx, run.id, input.attemptId)
  const outputs = toJson(input.outputs)
  await moveAttempt(tx, attempt, 'succeeded', {
    outputs,
    exit_code: input.exitCode ?? null,
    result_commit: input.resultCommit ?? null,
  })
  const instance = await getStepRow(tx, run.id, attempt.step_instance_id)
  await moveStep(tx, instance, 'succeeded', { outputs, reason: null, detail: null })
  const where = { runId: run.id, stepInstanceId: instance.id, attempt: attempt.number }
  for (const artifact of input.artifacts ?? []) await insertArtifact(tx, run, { ...where, ...artifact })
  for (const usage of input.usage ?? []) await addUsage(tx, { ...where, ...usage })
  const about = {
    ...aboutRun(run),
    actor: actorOf(run),
    stepInstanceId: instance.id,
    attempt: attempt.number,
  }
  tx.emit({ ...about, type: 'attempt.succeeded', data: { key: instance.key } })
  tx.emit({ ...about, type: 'step.succeeded', data: { key: instance.key } })
}
