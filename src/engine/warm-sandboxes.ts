import { mkdir } from 'node:fs/promises'
import { type SandboxId, toId } from '../domain/id.ts'
import type { Logger } from '../platform/log.ts'
import type { SandboxDriver, SandboxLimits, Template, WarmSandbox } from '../sandbox/contract.ts'
import { doorDirectory, removeDoorDirectory } from './attempt-door.ts'

export type WarmSandboxesInput = {
  readonly driver: SandboxDriver
  readonly template: (signal: AbortSignal) => Promise<Template>
  readonly limits: SandboxLimits
  /** Sandboxes that wait at a time; 0: none */
  readonly count: number
  readonly stateDir: string
  readonly now: () => number
  readonly randomBytes: (count: number) => Uint8Array
  readonly logger: Logger
}

/** After a sandbox was taken: the one that took it is to have the processor first, `ms` */
const REFILL_DELAY_MS = 250
/** After one could not be started, `ms` */
const RETRY_DELAY_MS = 30_000
/** What waits longer is replaced, so that it never has an old view of the host's files, `ms` */
const AGE_MAX_MS = 15 * 60_000
const CHECK_MS = 60_000
const START_TIMEOUT_MS = 30_000

/**
 * Keeps a few sandboxes started ahead, so that a ticket's first process need not wait for one. Each serves one
 * attempt or nobody. Nothing depends on them: when there is none, or the one taken has died, the driver starts
 * another one. What a killed process leaves is removed by the next start's sweep.
 */
export class WarmSandboxes {
  readonly #input: WarmSandboxesInput
  readonly #waiting = new Map<SandboxId, { readonly warm: WarmSandbox; readonly readyAt: number }>()
  readonly #stop = new AbortController()
  #filling: Promise<void> = Promise.resolve()
  #refill: NodeJS.Timeout | undefined
  #check: NodeJS.Timeout | undefined

  constructor(input: WarmSandboxesInput) {
    this.#input = input
  }

  /** After what earlier processes left is removed. */
  start(): void {
    if (this.#input.count === 0 || this.#input.driver.warm === undefined) return
    this.#fillIn(REFILL_DELAY_MS)
    this.#check = setInterval(() => this.#fillIn(0), CHECK_MS).unref()
  }

  /** The id of one that waits and has these limits; it is the caller's then. */
  take(limits: SandboxLimits): SandboxId | undefined {
    if (!isSame(limits, this.#input.limits)) return undefined
    for (const [id, { warm }] of this.#waiting) {
      if (!warm.isWaiting()) continue
      this.#waiting.delete(id)
      this.#fillIn(REFILL_DELAY_MS)
      return id
    }
    return undefined
  }

  /** Removes those that wait. May be called twice. */
  async stop(): Promise<void> {
    this.#stop.abort()
    clearTimeout(this.#refill)
    clearInterval(this.#check)
    await this.#filling
    await Promise.all([...this.#waiting.keys()].map((id) => this.#discard(id)))
  }

  #fillIn(delayMs: number): void {
    if (this.#stop.signal.aborted) return
    clearTimeout(this.#refill)
    this.#refill = setTimeout(() => {
      this.#filling = this.#filling.then(() => this.#fill())
    }, delayMs).unref()
  }

  async #fill(): Promise<void> {
    const oldest = performance.now() - AGE_MAX_MS
    for (const [id, { warm, readyAt }] of this.#waiting) {
      if (readyAt < oldest || !warm.isWaiting()) await this.#discard(id)
    }
    while (this.#waiting.size < this.#input.count && !this.#stop.signal.aborted) {
      if (!(await this.#add())) return this.#fillIn(RETRY_DELAY_MS)
    }
  }

  /** @returns whether there is one more */
  async #add(): Promise<boolean> {
    const { driver, limits, stateDir, logger } = this.#input
    const sandboxId = toId('sandbox', this.#input.now(), this.#input.randomBytes(16))
    const gatewayDirectory = doorDirectory(stateDir, sandboxId)
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(START_TIMEOUT_MS)])
    try {
      await mkdir(gatewayDirectory, { recursive: true, mode: 0o755 })
      const template = await this.#input.template(signal)
      const request = { sandboxId, template, limits, gatewayDirectory, hostname: toHostname(sandboxId) }
      const warm = await driver.warm?.(request, signal)
      if (warm === undefined) return false
      this.#waiting.set(sandboxId, { warm, readyAt: performance.now() })
      return true
    } catch (error) {
      if (!this.#stop.signal.aborted) logger.warn({ err: error, sandboxId }, 'no sandbox started ahead')
      await removeDoorDirectory(stateDir, sandboxId)
      return false
    }
  }

  async #discard(id: SandboxId): Promise<void> {
    const { stateDir, logger } = this.#input
    try {
      await this.#waiting.get(id)?.warm.discard()
      await removeDoorDirectory(stateDir, id)
    } catch (error) {
      logger.warn({ err: error, sandboxId: id }, 'sandbox not removed')
    } finally {
      this.#waiting.delete(id)
    }
  }
}

/** A sandbox has its name before it has a ticket. */
export function toHostname(sandboxId: SandboxId): string {
  return `swarm-${sandboxId.slice(-10)}`
}

function isSame(a: SandboxLimits, b: SandboxLimits): boolean {
  return (
    a.memoryMib === b.memoryMib &&
    a.processCountMax === b.processCountMax &&
    a.diskMib === b.diskMib &&
    a.cpuCount === b.cpuCount
  )
}
