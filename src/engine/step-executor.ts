import { DEFAULT_RETRY, decideRetry } from '../domain/retry.ts'
import { StoreError } from '../store/errors.ts'
import { type AttemptContext, toHandleJson } from './attempt-context.ts'
import { removeDoorDirectory } from './attempt-door.ts'
import { AttemptFailure, toAttemptFailure } from './attempt-failure.ts'
import { concludeCommands } from './conclude-attempt.ts'
import { bringWorkHome } from './harvest-attempt.ts'
import { type LiveAttempt, launchAttempt } from './launch-attempt.ts'
import type { LiveSandboxes } from './live-sandboxes.ts'
import { runCommands } from './run-commands.ts'
import { findStopMode } from './run-stop.ts'
import { type SandboxJob, toSandboxJob } from './sandbox-job.ts'

/**
 * Runs one attempt of one step instance in a sandbox: `launch → await → harvest`, from wherever the process before
 * it stopped, and records how it ended. At most one sandbox of an instance lives at any time: the one that the
 * attempt's handle names is adopted or known to be gone before another one is spawned.
 */
export class StepExecutor {
  readonly #live: LiveSandboxes

  constructor(live: LiveSandboxes) {
    this.#live = live
  }

  /**
   * Resolves when the attempt's end is recorded, or when it was detached for the next process.
   * @throws StoreError, `lease_lost` above all; the sandbox is gone then
   */
  async execute(context: AttemptContext, signal: AbortSignal): Promise<void> {
    try {
      const job = await toSandboxJob(context, signal)
      const live = await launchAttempt(context, job, this.#live, signal)
      await this.#drive(context, job, live, signal)
    } catch (error) {
      if (error instanceof StoreError) throw error
      const mode = findStopMode(signal)
      if (mode === 'detach' || mode === 'lease_lost') return
      await recordFailure(
        context,
        mode === 'cancel' ? canceled() : toAttemptFailure(error, context.logger),
        mode === 'cancel',
      )
    }
  }

  /** The sandbox ends with the attempt, whatever happens, except when it is left for the next process. */
  async #drive(
    context: AttemptContext,
    job: SandboxJob,
    live: LiveAttempt,
    signal: AbortSignal,
  ): Promise<void> {
    const { deps } = context
    const { sandbox, door } = live
    let keep = false
    try {
      await this.#awaitAndHarvest(context, job, live, signal)
    } catch (error) {
      keep = findStopMode(signal) === 'detach'
      throw error
    } finally {
      this.#live.remove(context.state.run.id, sandbox)
      await door.close()
      if (keep) await sandbox[Symbol.asyncDispose]()
      else {
        await sandbox.stop({ graceMs: STOP_GRACE_MS })
        await removeDoorDirectory(deps.settings.stateDir, sandbox.id)
        await deps.store.write.markSandbox({ sandboxId: sandbox.id, status: 'gone' })
      }
    }
  }

  async #awaitAndHarvest(
    context: AttemptContext,
    job: SandboxJob,
    live: LiveAttempt,
    signal: AbortSignal,
  ): Promise<void> {
    const { deps, proof, attempt, state, instance } = context
    const log = await deps.logs.open({ runId: state.run.id, stepKey: instance.key, attempt: attempt.number })
    const end = await runCommands(context, job, live, log, signal)
    await deps.store.write.advanceAttempt({
      ...proof,
      attemptId: attempt.id,
      phase: 'harvesting',
      handle: toHandleJson({ ...live.handle, ended: end.ended, failure: end.failure }),
    })
    // Work is brought home before anyone asks whether it is good: what was made is kept, also when it failed.
    const home = job.bringsWorkHome ? await bringWorkHome(context, live, signal) : undefined
    const resultCommit = home?.commit ?? null
    if (home !== undefined && home.findings.length > 0) {
      const handle = toHandleJson({ ...live.handle, ...end, findings: home.findings })
      await deps.store.write.advanceAttempt({ ...proof, attemptId: attempt.id, phase: 'harvesting', handle })
    }
    try {
      const { outputs, exitCode } = await concludeCommands(job, end, live.sandbox)
      signal.throwIfAborted()
      await log.close()
      await deps.store.write.succeedAttempt({
        ...proof,
        attemptId: attempt.id,
        outputs,
        exitCode,
        resultCommit,
      })
    } catch (error) {
      if (!(error instanceof AttemptFailure) || signal.aborted) throw error
      await log.close()
      await recordFailure(context, error, false, resultCommit)
    }
  }
}

const STOP_GRACE_MS = 1_000

function canceled(): AttemptFailure {
  return new AttemptFailure('canceled_by_person', 'canceled while it ran')
}

async function recordFailure(
  context: AttemptContext,
  failure: AttemptFailure,
  isCanceled: boolean,
  resultCommit: string | null = null,
): Promise<void> {
  const { deps, proof, attempt, step, logger } = context
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
