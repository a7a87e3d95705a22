import type { AttemptLogWriter } from '../store/attempt-log.ts'
import { StoreError } from '../store/errors.ts'
import { type AttemptContext, toHandleJson } from './attempt-context.ts'
import { AttemptFailure, toAttemptFailure } from './attempt-failure.ts'
import { concludeCommands } from './conclude-attempt.ts'
import { endSandbox, removeEarlierSandboxes } from './end-sandbox.ts'
import { bringWorkHome } from './harvest-attempt.ts'
import { type LiveAttempt, launchAttempt, leaveSandbox } from './launch-attempt.ts'
import type { LiveSandboxes } from './live-sandboxes.ts'
import { recordFailure } from './record-failure.ts'
import { runCommands } from './run-commands.ts'
import { findStopMode } from './run-stop.ts'
import { type SandboxJob, toSandboxJob } from './sandbox-job.ts'
import { isPassing, untilRecorded } from './until-recorded.ts'

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
    const { logger } = context
    try {
      const job = await toSandboxJob(context, signal)
      const launched = await launchAttempt(context, job, this.#live, signal)
      await this.#drive(context, job, launched, signal)
    } catch (error) {
      const mode = findStopMode(signal)
      if (mode === 'detach' || mode === 'lease_lost') return
      if (isRefusal(error)) throw error
      const isCanceled = mode === 'cancel'
      const failure = isCanceled ? canceled() : toAttemptFailure(error, logger)
      await untilRecorded(() => recordFailure(context, failure, { isCanceled }), { signal, logger })
      // One that was never reached, because adopting it or the job itself failed.
      await removeEarlierSandboxes(context).catch((err: unknown) =>
        logger.warn({ err }, 'sandbox not removed'),
      )
    }
  }

  /** The sandbox ends with the attempt, whatever happens, except when it is left for the next process. */
  async #drive(
    context: AttemptContext,
    job: SandboxJob,
    launched: LiveAttempt,
    signal: AbortSignal,
  ): Promise<void> {
    const runId = context.state.run.id
    this.#live.add(runId, launched.sandbox)
    let isDone = false
    try {
      await this.#awaitAndHarvest(context, job, launched, signal)
      isDone = true
    } finally {
      this.#live.remove(runId, launched.sandbox)
      if (isDone) await endSandbox(context, launched, { graceMs: STOP_GRACE_MS })
      else await leaveSandbox(context, launched, signal, { graceMs: STOP_GRACE_MS })
    }
  }

  async #awaitAndHarvest(
    context: AttemptContext,
    job: SandboxJob,
    live: LiveAttempt,
    signal: AbortSignal,
  ): Promise<void> {
    const { deps, attempt, state, instance } = context
    const log = await deps.logs.open({ runId: state.run.id, stepKey: instance.key, attempt: attempt.number })
    try {
      await this.#record(context, job, live, log, signal)
    } finally {
      // Nobody appends to it any more, unless the next process does.
      if (findStopMode(signal) !== 'detach') await closeLog(context, log)
    }
  }

  async #record(
    context: AttemptContext,
    job: SandboxJob,
    live: LiveAttempt,
    log: AttemptLogWriter,
    signal: AbortSignal,
  ): Promise<void> {
    const { deps, proof, attempt, logger } = context
    const { write } = deps.store
    const record = (work: () => Promise<void>) => untilRecorded(work, { signal, logger })
    const end = await runCommands(context, job, live, log, signal)
    const advance = async (findings: readonly string[]) => {
      const handle = toHandleJson({ ...live.handle, ...end, findings })
      await record(() =>
        write.advanceAttempt({ ...proof, attemptId: attempt.id, phase: 'harvesting', handle }),
      )
    }
    await advance([])
    // Work is brought home before anyone asks whether it is good: what was made is kept, also when it failed.
    const home = job.bringsWorkHome ? await bringWorkHome(context, live, signal) : undefined
    const resultCommit = home?.commit ?? null
    if (home !== undefined && home.findings.length > 0) await advance(home.findings)
    try {
      const { outputs, exitCode } = await concludeCommands(job, end, live.sandbox)
      signal.throwIfAborted()
      await closeLog(context, log)
      await record(() =>
        write.succeedAttempt({ ...proof, attemptId: attempt.id, outputs, exitCode, resultCommit }),
      )
    } catch (error) {
      if (signal.aborted || error instanceof StoreError) throw error
      // Also when an adapter broke: the commit that was brought home is kept with the attempt.
      const failure = toAttemptFailure(error, logger)
      await closeLog(context, log)
      await record(() => recordFailure(context, failure, { resultCommit }))
    }
  }
}

const STOP_GRACE_MS = 1_000

/** The store does not want this write, now or later: the lease above all. */
function isRefusal(error: unknown): boolean {
  return error instanceof StoreError && !isPassing(error)
}

/** A log that cannot be closed costs its last lines, never the result. */
async function closeLog({ logger }: AttemptContext, log: AttemptLogWriter): Promise<void> {
  await log.close().catch((err: unknown) => logger.warn({ err }, 'log not closed'))
}

function canceled(): AttemptFailure {
  return new AttemptFailure('canceled_by_person', 'canceled while it ran')
}
