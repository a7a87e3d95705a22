import type { RunId } from '../domain/id.ts'
import type { RunStopMode } from '../engine/run-stop.ts'
import type { SwarmEngine } from '../engine/swarm-engine.ts'
import type { Logger } from '../platform/log.ts'
import type { Store } from '../store/contract.ts'

export type LeaseKeeperSettings = {
  readonly holder: string
  /** Time a holder may stay silent before its run is offered to others, `ms` */
  readonly leaseTtlMs: number
  /** Time without renewal after which a sandbox kills itself, `ms`; shorter than the lease */
  readonly deadmanMs: number
}

/** What is known of a lease: its epoch, and when it was last renewed or claimed, `ms` since the epoch */
type Held = { readonly epoch: number; readonly renewedAt: number }

/** Renewals a lease is long */
const RENEWALS_PER_LEASE = 4

/**
 * Renews every lease that this process holds, from the claim on, also while a clone, a build or a launch keeps the
 * run busy. A sandbox's dead-man deadline is moved only after its lease was renewed, and always ends before it.
 */
export class LeaseKeeper {
  readonly #store: Store
  readonly #engine: Pick<SwarmEngine, 'renewDeadman' | 'forgetDeadman'>
  readonly #stopRun: (runId: RunId, mode: RunStopMode) => void
  readonly #settings: LeaseKeeperSettings
  readonly #logger: Logger
  readonly #held = new Map<RunId, Held>()
  #timer: NodeJS.Timeout | undefined
  #lastRenewalAt: number | null = null
  #renewing: Promise<void> | undefined

  /** @param input.stopRun stops the work on a run wherever it stands, in translation or in the engine */
  constructor(input: {
    store: Store
    engine: Pick<SwarmEngine, 'renewDeadman' | 'forgetDeadman'>
    stopRun: (runId: RunId, mode: RunStopMode) => void
    settings: LeaseKeeperSettings
    logger: Logger
  }) {
    this.#store = input.store
    this.#engine = input.engine
    this.#stopRun = input.stopRun
    this.#settings = input.settings
    this.#logger = input.logger
  }

  start(): void {
    const everyMs = Math.max(50, Math.floor(this.#settings.leaseTtlMs / RENEWALS_PER_LEASE))
    this.#timer = setInterval(() => void this.#tick(), everyMs)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  hold(runId: RunId, epoch: number): void {
    const now = this.#store.now()
    this.#held.set(runId, { epoch, renewedAt: now })
    this.#lastRenewalAt ??= now
    const { deadmanMs, leaseTtlMs } = this.#settings
    // Sandboxes that are made or adopted before the first renewal end by the claim's own time.
    void this.#engine.renewDeadman(runId, Math.min(deadmanMs, leaseTtlMs))
  }

  release(runId: RunId): void {
    this.#held.delete(runId)
    this.#engine.forgetDeadman(runId)
  }

  get heldRunCount(): number {
    return this.#held.size
  }

  /** Instant of the last renewal that reached the store, `ms` since the epoch; `null` before the first claim */
  get lastRenewalAt(): number | null {
    return this.#lastRenewalAt
  }

  async #tick(): Promise<void> {
    // A renewal that hangs must not keep this process from noticing how old the last one is.
    if (this.#renewing !== undefined) return this.#giveUpWhatIsTooOld()
    if (this.#held.size === 0) return
    this.#renewing = this.#renew(this.#settings).catch((error: unknown) => {
      this.#logger.error({ err: error }, 'leases not renewed')
      this.#giveUpWhatIsTooOld()
    })
    await this.#renewing
    this.#renewing = undefined
  }

  /**
   * Gives the next process time to adopt: leases and dead-man deadlines are renewed once more, for longer.
   * Called before this process detaches from its sandboxes; nothing is renewed for less after it.
   */
  async handOff(handOffMs: number): Promise<void> {
    this.stop()
    await this.#renewing
    if (this.#held.size === 0) return
    const share = this.#settings.deadmanMs / this.#settings.leaseTtlMs
    await this.#renew({ leaseTtlMs: handOffMs, deadmanMs: Math.floor(handOffMs * share) })
  }

  async #renew({ leaseTtlMs, deadmanMs }: { leaseTtlMs: number; deadmanMs: number }): Promise<void> {
    const askedAt = this.#store.now()
    const runs = [...this.#held].map(([runId, { epoch }]) => ({ runId, epoch }))
    const renewal = await this.#store.write.renewLeases({ holder: this.#settings.holder, leaseTtlMs, runs })
    this.#lastRenewalAt = askedAt
    const leftMs = Math.min(deadmanMs, askedAt + leaseTtlMs - this.#store.now())
    for (const runId of renewal.lost) {
      const asked = runs.find((run) => run.runId === runId)
      // It may have been left, or claimed anew, while the store answered.
      if (asked === undefined || !this.#holds(asked)) continue
      this.#logger.warn({ runId }, 'lease lost')
      this.#held.delete(runId)
      this.#stopRun(runId, 'lease_lost')
    }
    for (const runId of renewal.cancelRequested) this.#stopRun(runId, 'cancel')
    const lost = new Set(renewal.lost)
    const kept = runs.filter((run) => !lost.has(run.runId) && this.#holds(run))
    for (const { runId, epoch } of kept) this.#held.set(runId, { epoch, renewedAt: askedAt })
    await Promise.all(kept.map(({ runId }) => this.#engine.renewDeadman(runId, leftMs)))
  }

  /** Without a store nobody knows who holds what: after the lease's time the work must have ended. */
  #giveUpWhatIsTooOld(): void {
    const tooOldAt = this.#store.now() - this.#settings.deadmanMs
    for (const [runId, { renewedAt }] of [...this.#held]) {
      if (renewedAt <= tooOldAt) this.#stopRun(runId, 'lease_lost')
    }
  }

  #holds({ runId, epoch }: { runId: RunId; epoch: number }): boolean {
    return this.#held.get(runId)?.epoch === epoch
  }
}
