import { ApiError, ConnectionError } from './api-error.ts'

const DELAY_MIN_MS = 250
const DELAY_MAX_MS = 15_000
/** 507: the disk of the coordinator is full, which somebody will mend */
const RETRY_STATUSES = [408, 425, 429, 500, 502, 503, 504, 507]

/** Longest time of one try, `ms` */
const TRY_TIMEOUT_MS = 30_000

/**
 * Repeats a call until the server has answered it: over broken connections, restarts and overload, waiting longer
 * after each failure in a row, or as long as the server asks. The call must be one that may be repeated: it carries
 * an idempotency key, or changes nothing the second time.
 * @param call is given a signal that ends this one try
 * @throws ApiError when the server says no for good; the last trouble when it was told to stop
 */
export async function insist<T>(
  call: (signal: AbortSignal) => Promise<T>,
  options: {
    /** No further try once it aborts; one under way goes on */
    readonly signal: AbortSignal
    /** Ends a try under way, too */
    readonly giveUp: AbortSignal
    readonly onTrouble: (error: unknown) => void
  },
): Promise<T> {
  const { signal, giveUp, onTrouble } = options
  const ended = AbortSignal.any([signal, giveUp])
  for (let delayMs = DELAY_MIN_MS; ; delayMs = Math.min(delayMs * 2, DELAY_MAX_MS)) {
    try {
      return await call(AbortSignal.any([giveUp, AbortSignal.timeout(TRY_TIMEOUT_MS)]))
    } catch (error) {
      if (!isWorthAnotherTry(error)) throw error
      onTrouble(error)
      // Many agents that lost the same server must not come back at the same moment.
      await pause(Math.max(delayMs * (0.5 + Math.random() / 2), toAskedMs(error)), ended)
      if (ended.aborted) throw error
    }
  }
}

/** What something in between asks for beyond this would stop an agent for a day, `ms` */
const ASKED_MAX_MS = 300_000

/** How long the server asked to wait, `ms` */
export function toAskedMs(error: unknown): number {
  return error instanceof ApiError ? Math.min(error.retryAfterMs ?? 0, ASKED_MAX_MS) : 0
}

/**
 * A broken connection shows as a plain error of the platform. What is no JSON comes from something in between, which
 * goes away; what has another shape comes from another version, which does not heal.
 */
export function isWorthAnotherTry(error: unknown): boolean {
  if (error instanceof ApiError) return RETRY_STATUSES.includes(error.status)
  if (error instanceof ConnectionError) {
    return error.code !== 'answer_invalid' || error.cause instanceof SyntaxError
  }
  return true
}

/** Waits; ends early, without an error, when the signal aborts. */
export function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', finish)
      resolve()
    }
    const timer = setTimeout(finish, Math.max(delayMs, 0))
    signal.addEventListener('abort', finish, { once: true })
    if (signal.aborted) finish()
  })
}
