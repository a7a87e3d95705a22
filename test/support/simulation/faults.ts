import type { StoreWriter } from '../../../src/store/contract.ts'
import type { SeededRandom } from './seeded-random.ts'
import type { Process, VirtualTime } from './virtual-time.ts'

/** How often what goes wrong, per simulation. */
export type FaultRates = {
  /** That a process ends around a write */
  readonly crash: number
  /** That a process is frozen while a message of it is under way */
  readonly freeze: number
  /** That a wake-up is lost; the same, that it comes twice */
  readonly wakeUp: number
  /** Longest way to the store and back, `ms` */
  readonly delayMaxMs: number
  /** A write around which much goes wrong in this simulation, and what; most writes are rare */
  readonly aim: Aim
}

export type Aim = { readonly write: keyof StoreWriter; readonly fault: 'before' | 'after' | 'freeze' }

/** That the fault that is aimed at happens, each time */
const AIM = 0.4

/** Beyond a lease, so that somebody else has the work when the frozen process goes on, `ms` */
const LONG_MS = [2_500, 3_800] as const

/** What goes wrong in one simulation, drawn from its seed; after `stop` nothing does. */
export class Faults {
  readonly #time: VirtualTime
  readonly #random: SeededRandom
  readonly #rates: FaultRates
  readonly #trace: (line: string) => void
  /** Crashes by write, as `before claimNext` */
  readonly crashes = new Map<string, number>()
  freezeCount = 0
  #isOver = false
  /** Whether the write that is aimed at was hit */
  #hasHit = false

  constructor(input: {
    time: VirtualTime
    random: SeededRandom
    rates: FaultRates
    trace: (line: string) => void
  }) {
    this.#time = input.time
    this.#random = input.random
    this.#rates = input.rates
    this.#trace = input.trace
  }

  stop(): void {
    this.#isOver = true
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Whether this write is aimed at and was not hit yet. That may be after all other faults have stopped. */
  aimsAt(write: keyof StoreWriter): boolean {
    return this.#rates.aim.write === write && !this.#hasHit
  }

  /** Whether the process ends `before` this write or `after` it. */
  onWrite(process: Process, name: keyof StoreWriter): 'before' | 'after' | undefined {
    const { fault } = this.#rates.aim
    const byChance = this.#random.chance(0.5) ? 'before' : 'after'
    const isHit = fault !== 'freeze' && this.#hitsAim(process, name)
    if (!isHit && !(this.#canHit(process) && this.#random.chance(this.#rates.crash))) return undefined
    const when = isHit ? fault : byChance
    const what = `${when} ${name}`
    this.crashes.set(what, (this.crashes.get(what) ?? 0) + 1)
    this.#trace(`crash ${process.name} ${what}`)
    return when
  }

  /**
   * Time that a message of the process takes. The process may be frozen while it is under way.
   * @param write the write that is about to be made, if it is that
   */
  delayMs(process: Process, write?: keyof StoreWriter): number {
    const { aim, freeze } = this.#rates
    const isHit = aim.fault === 'freeze' && write !== undefined && this.#hitsAim(process, write)
    if (isHit || (this.#canHit(process) && this.#random.chance(freeze))) this.#freeze(process, isHit)
    return this.#random.integer(0, this.#rates.delayMaxMs)
  }

  #hitsAim(process: Process, write: keyof StoreWriter): boolean {
    if (!process.isFragile || this.#rates.aim.write !== write) return false
    if ((this.#isOver && this.#hasHit) || !this.#random.chance(AIM)) return false
    this.#hasHit = true
    return true
  }

  #freeze(process: Process, isAimedAt: boolean): void {
    const isLong = isAimedAt || this.#random.chance(0.6)
    const ms = isLong ? this.#random.integer(...LONG_MS) : this.#random.integer(50, 2_000)
    process.frozenUntil = this.#time.now + ms
    this.freezeCount++
    this.#trace(`freeze ${process.name} ${ms}`)
  }

  isReadLate(): boolean {
    return !this.#isOver && this.#random.chance(0.03)
  }

  /** After which times a wake-up arrives: never, once or twice. */
  wakeUps(process: Process): readonly number[] {
    const delayMs = () => this.#random.integer(0, this.#rates.delayMaxMs)
    if (!this.#canHit(process)) return [0]
    if (this.#random.chance(this.#rates.wakeUp)) return []
    return this.#random.chance(this.#rates.wakeUp) ? [delayMs(), delayMs()] : [delayMs()]
  }

  #canHit(process: Process): boolean {
    return process.isFragile && !this.#isOver
  }
}
