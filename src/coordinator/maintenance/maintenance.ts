import type { Logger } from '../../platform/log.ts'
import { collectGarbage, type GarbageDeps } from './collect-garbage.ts'
import type { DiskUsage, GarbageReport } from './garbage-report.ts'

export type MaintenanceInput = GarbageDeps & {
  /** Removes sandboxes that nobody drives, with all that belongs to them */
  readonly sweepSandboxes: () => Promise<unknown>
  readonly logger: Logger
  /** Time from the start to the first round, and between two rounds, `ms` */
  readonly firstAfterMs?: number
  readonly intervalMs?: number
}

const FIRST_AFTER_MS = 60_000
const INTERVAL_MS = 60 * 60_000

/**
 * What is done now and then for the state directory as a whole: retention by itself every hour, and on demand. One
 * piece of such work at a time, so that a backup never copies what is being removed.
 */
export class Maintenance {
  readonly #input: MaintenanceInput
  readonly #stop = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #last: Promise<unknown> = Promise.resolve()
  #usage: DiskUsage | undefined

  constructor(input: MaintenanceInput) {
    this.#input = input
  }

  start(): void {
    const { firstAfterMs = FIRST_AFTER_MS } = this.#input
    this.#schedule(firstAfterMs)
  }

  /** Cuts a round short and waits until it has ended. May be called twice. */
  async stop(): Promise<void> {
    this.#stop.abort(new DOMException('the coordinator stops', 'AbortError'))
    clearTimeout(this.#timer)
    await this.#last
  }

  /** `undefined` until the first round */
  get usage(): DiskUsage | undefined {
    return this.#usage
  }

  /** A round now, after one that is under way. @throws the signal's reason */
  async collectGarbage(options: {
    readonly isDryRun: boolean
    readonly signal: AbortSignal
  }): Promise<GarbageReport> {
    return await this.inTurn(options.signal, async (signal) => {
      if (!options.isDryRun) await this.#input.sweepSandboxes()
      const { report, usage } = await collectGarbage(this.#input, { ...options, signal })
      this.#usage = usage
      return report
    })
  }

  /** Runs the work when what was asked for before has ended; its signal also aborts when the coordinator stops. */
  async inTurn<T>(asked: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const signal = AbortSignal.any([asked, this.#stop.signal])
    const turn = this.#last.then(async () => {
      signal.throwIfAborted()
      return await work(signal)
    })
    this.#last = turn.catch(() => undefined)
    return await turn
  }

  #schedule(afterMs: number): void {
    if (this.#stop.signal.aborted) return
    this.#timer = setTimeout(() => void this.#round(), afterMs)
    this.#timer.unref()
  }

  async #round(): Promise<void> {
    const { logger, intervalMs = INTERVAL_MS } = this.#input
    const { signal } = this.#stop
    try {
      const { problems, isDryRun: _, ...removed } = await this.collectGarbage({ isDryRun: false, signal })
      if (isEmpty(removed)) logger.debug(removed, 'nothing had ended long ago')
      else logger.info(removed, 'what had ended long ago was removed')
      for (const problem of problems) logger.warn({ problem }, 'retention could not do all')
    } catch (error) {
      if (!signal.aborted) logger.error({ err: error }, 'retention failed')
    }
    this.#schedule(intervalMs)
  }
}

function isEmpty(removed: Omit<GarbageReport, 'problems' | 'isDryRun'>): boolean {
  const { eventCount, runCount, logs, artifacts, work, compactedMirrorCount, packageCount } = removed
  const counts = [
    eventCount,
    runCount,
    logs.runCount,
    artifacts.runCount,
    work.deletedCount,
    work.parkedCount,
  ]
  return [...counts, compactedMirrorCount, packageCount].every((count) => count === 0)
}
