import type { HostId, RunId, SandboxId } from '../domain/id.ts'
import { EXTERNAL_WORKFLOW } from '../domain/run.ts'
import { removeStaleDoors } from '../engine/attempt-door.ts'
import { keepAllBut } from '../engine/keep-all-but.ts'
import { removeStaleTransfers } from '../engine/transfer-directory.ts'
import type { Logger } from '../platform/log.ts'
import type { SandboxDriver } from '../sandbox/contract.ts'
import type { Store } from '../store/contract.ts'

export type ReconcilerSettings = {
  readonly hostId: HostId
  readonly holder: string
  /** Absolute folder that holds the doors of sandboxes */
  readonly stateDir: string
  readonly runCountMax: number
  readonly retryDelayMs: number
  /** Time between looks at leases and waits, `ms` */
  readonly intervalMs: number
  /** Time between sweeps over sandboxes, `ms` */
  readonly sweepIntervalMs: number
}

/** Time between two writes that say this host is there, `ms`: each waits for the disk */
const TOUCH_INTERVAL_MS = 10_000
/** Silence after which a host's coordinator is taken for gone, `ms` */
const HOST_SILENT_MS = 60_000

/**
 * Makes the records and the world agree: leases that passed, waits whose time came, sandboxes that nobody drives.
 * Safe at any time and twice.
 */
export class Reconciler {
  readonly #store: Store
  readonly #driver: SandboxDriver
  readonly #settings: ReconcilerSettings
  readonly #logger: Logger
  readonly #heldRunIds: () => readonly RunId[]
  #timers: NodeJS.Timeout[] = []
  #present: Promise<unknown> = Promise.resolve()
  #lastTickAt: number
  /** When the host was last said to be there, `ms` of the monotonic clock */
  #touchedAt = Number.NEGATIVE_INFINITY

  constructor(input: {
    store: Store
    driver: SandboxDriver
    settings: ReconcilerSettings
    logger: Logger
    heldRunIds: () => readonly RunId[]
  }) {
    this.#store = input.store
    this.#driver = input.driver
    this.#settings = input.settings
    this.#logger = input.logger
    this.#heldRunIds = input.heldRunIds
    this.#lastTickAt = input.store.now()
  }

  /** What the processes before this one left, before anything is claimed. */
  async recover(): Promise<void> {
    const { write } = this.#store
    const dead = this.#store.capabilities.isExclusive ? await this.#listOtherHolders() : []
    const taken = await write.takeOverRuns({ holders: dead })
    if (taken.length > 0)
      this.#logger.info({ runIds: taken }, 'runs taken over from a coordinator that ended')
    await this.#reclaimEffects()
    const { stateDir } = this.#settings
    await removeStaleDoors(stateDir, await this.sweep())
    await removeStaleTransfers(stateDir)
  }

  /** What a coordinator that is gone was sending. Of a store that others have open, who was not seen for long is gone. */
  async #reclaimEffects(): Promise<void> {
    const { holder } = this.#settings
    const others = this.#store.capabilities.isExclusive ? {} : { silentMs: HOST_SILENT_MS }
    const count = await this.#store.write.reclaimSendingEffects({ holder, ...others })
    if (count > 0) this.#logger.info({ count }, 'effects to be sent again')
  }

  /** Coordinators before this one that left runs behind. */
  async #listOtherHolders(): Promise<readonly string[]> {
    const holders = new Set<string>()
    let cursor: string | null | undefined
    while (cursor !== null) {
      const page = await this.#store.read.listRuns({
        statuses: ['running'],
        ...(cursor === undefined ? {} : { cursor }),
      })
      for (const { lease, workflow } of page.items) {
        if (lease.holder !== null && workflow !== EXTERNAL_WORKFLOW) holders.add(lease.holder)
      }
      cursor = page.nextCursor
    }
    holders.delete(this.#settings.holder)
    return [...holders]
  }

  start(): void {
    this.#timers = [
      setInterval(() => this.#enqueue(() => this.tick()), this.#settings.intervalMs),
      setInterval(() => this.#enqueue(async () => void (await this.sweep())), this.#settings.sweepIntervalMs),
    ]
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    await this.#present
  }

  /** Instant at which it last went round, `ms` since the epoch */
  get lastTickAt(): number {
    return this.#lastTickAt
  }

  /** Leases and waits. */
  async tick(): Promise<void> {
    const { runCountMax, retryDelayMs, hostId } = this.#settings
    const expired = await this.#store.write.expireLeases({ runCountMax, retryDelayMs })
    if (expired.length > 0) this.#logger.warn({ runIds: expired }, 'leases expired')
    await this.#store.write.expireWaits()
    if (performance.now() - this.#touchedAt >= TOUCH_INTERVAL_MS) {
      await this.#store.write.touchHost({ hostId })
      if (!this.#store.capabilities.isExclusive) await this.#reclaimEffects()
      this.#touchedAt = performance.now()
    }
    this.#lastTickAt = this.#store.now()
  }

  /**
   * Sandboxes: what no running attempt names, and no run held here may be using, is removed.
   * @returns the sandboxes that are in use
   */
  async sweep(): Promise<ReadonlySet<SandboxId>> {
    // Asked before the store is: a sandbox that is made meanwhile is not among them, so it is never removed.
    const present = await this.#driver.list()
    // Of a store that is this coordinator's alone every sandbox is here, whatever the host was called before.
    const mine = this.#store.capabilities.isExclusive ? {} : { hostId: this.#settings.hostId }
    const entries = await this.#store.read.listSandboxEntries({ ...mine, isLive: true })
    const held = new Set(this.#heldRunIds())
    const inUse = new Set<SandboxId>()
    const stale: SandboxId[] = []
    for (const entry of entries) {
      const attempt = await this.#store.read.findAttempt(entry.attemptId)
      if (held.has(entry.runId) || attempt?.status === 'running') inUse.add(entry.id)
      else stale.push(entry.id)
    }
    const unused = present.map((record) => record.sandboxId).filter((id) => !inUse.has(id))
    const report = await this.#driver.gc(keepAllBut(unused))
    for (const sandboxId of stale) await this.#store.write.markSandbox({ sandboxId, status: 'gone' })
    if (report.removed.length > 0) this.#logger.info({ sandboxIds: report.removed }, 'sandboxes removed')
    for (const problem of report.problems) this.#logger.warn({ problem }, 'sandbox not removed')
    return inUse
  }

  /** One at a time; a slow sweep does not pile up. */
  #enqueue(work: () => Promise<void>): void {
    this.#present = this.#present.then(work).catch((error: unknown) => {
      this.#logger.error({ err: error }, 'reconciliation failed')
    })
  }
}
