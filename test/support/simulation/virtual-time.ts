/**
 * Time and scheduling of a simulation. Everything that happens is a turn of a process: a timer that fires, a request
 * that arrives, an answer that comes back. Turns happen one after the other, in the order of their instants; between
 * two of them all promises are settled. What a process does is known by the asynchronous context it runs in, so that
 * one process can be stopped, frozen or have a wrong clock while the others go on.
 */
import { AsyncLocalStorage } from 'node:async_hooks'

/** What runs by itself: a coordinator, an outside agent, a request of a person, a machine. */
export class Process {
  readonly name: string
  /** What its clock is ahead of the others, `ms` */
  skewMs = 0
  /** Nothing of it happens before this instant: it is frozen until then, `ms` */
  frozenUntil = 0
  /** Whether faults may hit it */
  isFragile = false
  readonly #whenGone: (() => void)[] = []
  #isGone = false

  constructor(name: string) {
    this.name = name
  }

  get isGone(): boolean {
    return this.#isGone
  }

  onGone(listener: () => void): void {
    this.#whenGone.push(listener)
  }

  /** From now on nothing of it happens any more, as after `kill -9`. */
  kill(): void {
    if (this.#isGone) return
    this.#isGone = true
    for (const listener of this.#whenGone) listener()
  }
}

export type Turn = {
  readonly process: Process
  readonly order: number
  readonly run: () => void
  at: number
  isCanceled: boolean
}

type Current = { readonly time: VirtualTime; readonly process: Process }

const current = new AsyncLocalStorage<Current>()

/** The process that the calling code belongs to; `undefined` outside of a simulation. */
export function findCurrent(): Current | undefined {
  return current.getStore()
}

// Taken before anything replaces it.
const nextLoop = setImmediate

export class VirtualTime {
  #nowMs = 0
  #order = 0
  /** The next one is the last one */
  #turns: Turn[] = []

  /** Since the beginning of the simulation, `ms` */
  get now(): number {
    return this.#nowMs
  }

  schedule(process: Process, afterMs: number, run: () => void): Turn {
    const at = this.#nowMs + Math.max(0, afterMs)
    const turn: Turn = { process, order: this.#order++, run, at, isCanceled: false }
    this.#insert(turn)
    return turn
  }

  /** Resolves after this time, when the process is neither gone nor frozen. */
  async pass(process: Process, afterMs: number): Promise<void> {
    await new Promise<void>((resolve) => this.schedule(process, afterMs, resolve))
  }

  /** Runs the code as a part of the process. */
  runIn<T>(process: Process, work: () => T): T {
    return current.run({ time: this, process }, work)
  }

  /** Makes the next turn and lets everything that follows from it settle. @returns false when there is none */
  async step(): Promise<boolean> {
    for (;;) {
      const turn = this.#turns.pop()
      if (turn === undefined) return false
      if (turn.isCanceled || turn.process.isGone) continue
      if (turn.process.frozenUntil > turn.at) {
        turn.at = turn.process.frozenUntil
        this.#insert(turn)
        continue
      }
      this.#nowMs = Math.max(this.#nowMs, turn.at)
      this.runIn(turn.process, turn.run)
      await new Promise<void>((resolve) => nextLoop(resolve))
      return true
    }
  }

  #insert(turn: Turn): void {
    let low = 0
    let high = this.#turns.length
    while (low < high) {
      const middle = (low + high) >> 1
      const other = this.#turns[middle]
      if (other !== undefined && isBefore(turn, other)) low = middle + 1
      else high = middle
    }
    this.#turns.splice(low, 0, turn)
  }
}

function isBefore(a: Turn, b: Turn): boolean {
  return a.at === b.at ? a.order < b.order : a.at < b.at
}
