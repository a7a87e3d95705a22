/** A bell: `ring` ends the present or the next `wait`; several rings before a wait count as one. */
export class Bell {
  #isRung = false
  #wakeUp: (() => void) | undefined

  ring(): void {
    this.#isRung = true
    this.#wakeUp?.()
  }

  /** Resolves at the next ring, at the latest after `timeoutMs`. One waiter at a time. */
  async wait({ timeoutMs }: { timeoutMs: number }): Promise<void> {
    if (!this.#isRung) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(timeoutMs, TIMER_MS_MAX))
        this.#wakeUp = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.#wakeUp = undefined
    }
    this.#isRung = false
  }
}

/** Longest delay that a timer can keep, `ms` */
const TIMER_MS_MAX = 2 ** 31 - 1
