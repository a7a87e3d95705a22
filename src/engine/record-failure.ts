import { DEFAULT_RETRY, decideRetry } from '../domain/retry.ts'
import type { AttemptContext } from './attempt-context.ts'
import type { AttemptFailure } from './attempt-failure.ts'

/** Records how the attempt failed and whether, and from when on, another one follows. */
export async function recordFailure(
  context: Pick<AttemptContext, 'deps' | 'proof' | 'attempt' | 'step' | 'logger'>,
  failure: AttemptFailure,
  end: { isCanceled?: boolean; resultCommit?: string | null } = {},
): Promise<void> {
  const { deps, proof, attempt, step, logger } = context
  const { isCanceled = false, resultCommit = null } = end
  const decision = isCanceled
    ? { kind: 'give-up' as const }
    : decideRetry({
        policy: step.retry ?? DEFAULT_RETRY,
        reason: failure.reason,
        attempt: attempt.number,
        now: deps.store.now(),
        random: deps.random.number(),
        ...(failure.retryAfterMs === undefined ? {} : { retryAfterMs: failure.retryAfterMs }),
      })
  logger.info({ reason: failure.reason, decision: decision.kind }, 'attempt failed')
  await deps.store.write.failAttempt({
    ...proof,
    attemptId: attempt.id,
    status: isCanceled ? 'canceled' : failure.status,
    reason: failure.reason,
    detail: failure.message.slice(0, 8_000),
    exitCode: failure.exitCode,
    resultCommit,
    ...(failure.outputs === undefined ? {} : { outputs: failure.outputs }),
    ...(decision.kind === 'retry' ? { retryAt: decision.notBefore } : {}),
  })
}
