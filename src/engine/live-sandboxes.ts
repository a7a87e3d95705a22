import type { RunId } from '../domain/id.ts'
import type { Logger } from '../platform/log.ts'
import type { Sandbox } from '../sandbox/contract.ts'

/** The sandboxes that this process drives now, by run. */
export class LiveSandboxes {
  readonly #byRun = new Map<RunId, Set<Sandbox>>()
  /** Until when the run's lease lets its sandboxes live, `ms` of the monotonic clock */
  readonly #deadlines = new Map<RunId, number>()
  readonly #logger: Logger

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Time that a sandbox which is made or found now may live without a renewal, `ms`. */
  deadmanLeftMs(runId: RunId, deadmanMs: number): number {
    const leftMs = (this.#deadlines.get(runId) ?? Number.POSITIVE_INFINITY) - performance.now()
    return Math.max(1, Math.floor(Math.min(deadmanMs, leftMs)))
  }

  /**
   * Whether the time that the run's lease gave has passed without a renewal, as in a process that was frozen: somebody
   * else may have the run by now, and a sandbox started here would live beside theirs.
   */
  isOverdue(runId: RunId): boolean {
    return (this.#deadlines.get(runId) ?? Number.POSITIVE_INFINITY) <= performance.now()
  }

  /** The run is not driven here any more. */
  forget(runId: RunId): void {
    this.#deadlines.delete(runId)
  }

  add(runId: RunId, sandbox: Sandbox): void {
    const sandboxes = this.#byRun.get(runId) ?? new Set()
    sandboxes.add(sandbox)
    this.#byRun.set(runId, sandboxes)
  }

  remove(runId: RunId, sandbox: Sandbox): void {
    const sandboxes = this.#byRun.get(runId)
    sandboxes?.delete(sandbox)
    if (sandboxes?.size === 0) this.#byRun.delete(runId)
  }

  get count(): number {
    let count = 0
    for (const sandboxes of this.#byRun.values()) count += sandboxes.size
    return count
  }

  /**
   * Moves the dead-man deadline of the run's sandboxes. Called after the run's lease was renewed, with less time
   * than the lease has left, so that a holder that froze cannot have a live sandbox when another one takes over.
   */
  async renewDeadman(runId: RunId, deadmanMs: number): Promise<void> {
    this.#deadlines.set(runId, performance.now() + deadmanMs)
    if (deadmanMs <= 0) return
    const sandboxes = [...(this.#byRun.get(runId) ?? [])]
    const results = await Promise.allSettled(sandboxes.map((sandbox) => sandbox.renewDeadman(deadmanMs)))
    for (const result of results) {
      if (result.status === 'rejected') {
        this.#logger.warn({ runId, err: result.reason }, 'dead-man deadline not renewed')
      }
    }
  }
}
