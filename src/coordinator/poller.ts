import type { EventType } from '../domain/event.ts'
import { Bell } from '../engine/bell.ts'
import type { HostSlots } from '../engine/host-slots.ts'
import type { Logger } from '../platform/log.ts'
import type { Store } from '../store/contract.ts'
import type { Executor } from './executor.ts'

export type PollerSettings = {
  readonly holder: string
  readonly leaseTtlMs: number
  /** Time between looks for work when nothing wakes the poller, `ms` */
  readonly pollIntervalMs: number
}

/** Events after which there may be something to claim. */
const WAKING: ReadonlySet<EventType> = new Set([
  'ticket.created',
  'ticket.updated',
  'ticket.requeued',
  'ticket.unblocked',
  'run.released',
  'run.resumed',
  'run.lease_expired',
  'wait.opened',
])

/** Claims work while there is room: woken by events, polling as a safety net. */
export class Poller {
  readonly #store: Store
  readonly #executor: Executor
  readonly #slots: HostSlots
  readonly #settings: PollerSettings
  readonly #logger: Logger
  readonly #bell = new Bell()
  #loop: Promise<void> | undefined
  #isStopped = false
  #unsubscribe: (() => void) | undefined
  #lastClaimAt: number | null = null
  #lastPollAt: number

  constructor(input: {
    store: Store
    executor: Executor
    slots: HostSlots
    settings: PollerSettings
    logger: Logger
  }) {
    this.#store = input.store
    this.#executor = input.executor
    this.#slots = input.slots
    this.#settings = input.settings
    this.#logger = input.logger
    this.#lastPollAt = input.store.now()
  }

  start(): void {
    this.#unsubscribe = this.#store.subscribe((events) => {
      if (events.some((event) => WAKING.has(event.type))) this.#bell.ring()
    })
    this.#loop = this.#poll()
  }

  wake(): void {
    this.#bell.ring()
  }

  /** Resolves when nothing more will be claimed. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#unsubscribe?.()
    this.#bell.ring()
    await this.#loop
  }

  /** Instant of the last claim, `ms` since the epoch */
  get lastClaimAt(): number | null {
    return this.#lastClaimAt
  }

  /** Instant at which the loop last went round, `ms` since the epoch: it stands still when this is old */
  get lastPollAt(): number {
    return this.#lastPollAt
  }

  async #poll(): Promise<void> {
    while (!this.#isStopped) {
      let dueInMs = this.#settings.pollIntervalMs
      try {
        await this.#claimWhileThereIsRoom()
        const dueAt = await this.#store.read.findNextDueAt()
        if (dueAt !== undefined && this.#slots.freeCount > 0) {
          dueInMs = Math.min(dueInMs, Math.max(1, dueAt - this.#store.now()))
        }
      } catch (error) {
        this.#logger.error({ err: error }, 'poll failed')
      }
      this.#lastPollAt = this.#store.now()
      if (!this.#isStopped) await this.#bell.wait({ timeoutMs: dueInMs })
    }
  }

  async #claimWhileThereIsRoom(): Promise<void> {
    const { holder, leaseTtlMs } = this.#settings
    while (!this.#isStopped && this.#slots.freeCount > 0) {
      const claim = await this.#store.write.claimNext({ holder, leaseTtlMs })
      if (claim === undefined) return
      this.#lastClaimAt = this.#store.now()
      this.#executor.start(claim)
    }
  }
}
