import type { RunId } from '../domain/id.ts'
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

/** Renewals a lease is long */
const RENEWALS_PER_LEASE = 4

/**
 * Renews every lease that this process holds, from the claim on, also while a clone, a build or a launch keeps the
 * run busy. A sandbox's dead-man deadline is moved only after its lease was renewed, and always ends before it.
 */
export class LeaseKeeper {
  readonly #store: Store
  readonly #engine: SwarmEngine
  readonly #settings: LeaseKeeperSettings
  readonly #logger: Logger
  readonly #held = new Map<RunId, number>()
  #timer: NodeJS.Timeout | undefined
  #lastRenewalAt: number | null = null
  #isRenewing = false

  constructor(input: { store: Store; engine: SwarmEngine; settings: LeaseKeeperSettings; logger: Logger }) {
    this.#store = input.store
    this.#engine = input.engine
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
    this.#held.set(runId, epoch)
    this.#lastRenewalAt ??= this.#store.now()
  }

  release(runId: RunId): void {
    this.#held.delete(runId)
  }

  get heldRunCount(): number {
    return this.#held.size
  }

  /** Instant of the last renewal that reached the store, `ms` since the epoch; `null` before the first claim */
  get lastRenewalAt(): number | null {
    return this.#lastRenewalAt
  }

  async #tick(): Promise<void> {
    if (this.#isRenewing || this.#held.size === 0) return
    this.#isRenewing = true
    try {
      await this.#renew(this.#settings)
    } catch (error) {
      this.#logger.error({ err: error }, 'leases not renewed')
      this.#giveUpWhatIsTooOld()
    } finally {
      this.#isRenewing = false
    }
  }

  /**
   * Gives the next process time to adopt: leases and dead-man deadlines are renewed once more, for longer.
   * Called before this process detaches from its sandboxes.
   */
  async handOff(handOffMs: number): Promise<void> {
    if (this.#held.size === 0) return
    const share = this.#settings.deadmanMs / this.#settings.leaseTtlMs
    await this.#renew({ leaseTtlMs: handOffMs, deadmanMs: Math.floor(handOffMs * share) })
  }

  async #renew({ leaseTtlMs, deadmanMs }: { leaseTtlMs: number; deadmanMs: number }): Promise<void> {
    const askedAt = this.#store.now()
    const runs = [...this.#held].map(([runId, epoch]) => ({ runId, epoch }))
    const renewal = await this.#store.write.renewLeases({ holder: this.#settings.holder, leaseTtlMs, runs })
    this.#lastRenewalAt = askedAt
    const leftMs = Math.min(deadmanMs, askedAt + leaseTtlMs - this.#store.now())
    for (const runId of renewal.lost) {
      this.#logger.warn({ runId }, 'lease lost')
      this.#held.delete(runId)
      this.#engine.stop(runId, 'lease_lost')
    }
    for (const runId of renewal.cancelRequested) this.#engine.stop(runId, 'cancel')
    const kept = runs.filter(({ runId }) => !renewal.lost.includes(runId))
    await Promise.all(kept.map(({ runId }) => this.#engine.renewDeadman(runId, leftMs)))
  }

  /** Without a store nobody knows who holds what: after the lease's time the work must have ended. */
  #giveUpWhatIsTooOld(): void {
    const age = this.#store.now() - (this.#lastRenewalAt ?? 0)
    if (age < this.#settings.deadmanMs) return
    for (const runId of this.#held.keys()) this.#engine.stop(runId, 'lease_lost')
  }
}
