import { performance } from 'node:perf_hooks'

const CHECK_MS = 1000

/**
 * Fires once when nobody renewed it in time. It watches the monotonic clock and the wall clock and takes the
 * earlier: a host that slept must not find a sandbox that still believes in its lease.
 */
export class Deadman {
  readonly #onExpired: () => void
  #monotonicAt = 0
  #wallAt = 0
  #timer: NodeJS.Timeout | undefined
  #isExpired = false

  constructor(deadmanMs: number, onExpired: () => void) {
    this.#onExpired = onExpired
    this.renew(deadmanMs)
  }

  renew(deadmanMs: number): void {
    if (this.#isExpired) return
    this.#monotonicAt = performance.now() + deadmanMs
    this.#wallAt = Date.now() + deadmanMs
    this.#wait()
  }

  /** Time left, `ms` */
  leftMs(): number {
    return Math.max(0, Math.min(this.#monotonicAt - performance.now(), this.#wallAt - Date.now()))
  }

  #wait(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#check(), Math.min(CHECK_MS, this.leftMs()))
  }

  #check(): void {
    if (this.leftMs() > 0) this.#wait()
    else {
      this.#isExpired = true
      this.#onExpired()
    }
  }
}
