import type { FailedAttempt } from '../contract.ts'
import { type Row, toJsonOrNull } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { aboutRun, actorOf, requireLease } from './move-run.ts'
import { getAttemptRow, getStepRow, moveAttempt, moveStep } from './move-step.ts'

export async function failAttempt(tx: Tx, input: FailedAttempt): Promise<void> {
  const run = await requireLease(tx, input)
  const attempt = await getAttemptRow(tx, run.id, input.attemptId)
  const why = { reason: input.reason, detail: input.detail }
  await moveAttempt(tx, attempt, input.status, {
    ...why,
    exit_code: input.exitCode ?? null,
    outputs: toJsonOrNull(input.outputs),
    result_commit: input.resultCommit ?? null,
  })
  const instance = await getStepRow(tx, run.id, attempt.step_instance_id)
  const about = {
    ...aboutRun(run),
    actor: actorOf(run),
    stepInstanceId: instance.id,
    attempt: attempt.number,
  }
  tx.emit({ ...about, type: `attempt.${input.status}`, data: { key: instance.key, ...why } })
  await endOrRepeat(tx, instance, input, about)
}

async function endOrRepeat(
  tx: Tx,
  instance: Row<'steps'>,
  input: FailedAttempt,
  about: Omit<Parameters<Tx['emit']>[0], 'type'>,
): Promise<void> {
  const { reason, detail, retryAt } = input
  if (retryAt !== undefined) {
    await moveStep(tx, instance, 'pending', { reason, detail, not_before: retryAt })
    tx.emit({
      ...about,
      type: 'step.retried',
      data: { key: instance.key, reason, detail, notBefore: retryAt },
    })
    return
  }
  const status = input.status === 'canceled' ? 'canceled' : 'failed'
  await moveStep(tx, instance, status, { reason, detail, outputs: toJsonOrNull(input.outputs) })
  tx.emit({ ...about, type: `step.${status}`, data: { key: instance.key, reason, detail } })
}
