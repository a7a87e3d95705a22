/** A flag that can be waited for: set while nobody waits, it is remembered. */
export type Wake = {
  set(): void
  /** Before looking, so that what happens while looking is not missed */
  reset(): void
  /** Resolves `true` when set, `false` after `timeoutMs` or on abort. */
  wait(timeoutMs: number, signal: AbortSignal): Promise<boolean>
}

export function createWake(): Wake {
  let isSet = false
  let notify: (() => void) | undefined
  return {
    set() {
      isSet = true
      notify?.()
    },
    reset() {
      isSet = false
    },
    wait(timeoutMs, signal) {
      return new Promise((resolve) => {
        const finish = () => {
          clearTimeout(timer)
          signal.removeEventListener('abort', finish)
          notify = undefined
          resolve(isSet)
        }
        const timer = setTimeout(finish, timeoutMs)
        signal.addEventListener('abort', finish, { once: true })
        notify = finish
        if (isSet || signal.aborted) finish()
      })
    },
  }
}
