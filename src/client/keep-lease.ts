import { isWorthAnotherTry, pause, toAskedMs } from './insist.ts'

export type KeepLeaseInput = {
  /** One heartbeat */
  readonly beat: (signal: AbortSignal) => Promise<{ readonly isCancelRequested: boolean }>
  readonly leaseTtlMs: number
  /** When the claim was sent, `ms` of `performance.now()`: from there on the lease counts, at the latest */
  readonly claimedAt: number
  /** Ends the keeping */
  readonly signal: AbortSignal
  /** Called once, with the reason, when the work has to stop */
  readonly onEnd: (reason: Error) => void
}

const RETRY_DELAY_MS = 500

/**
 * Renews the lease three times in its length until the signal aborts. Without a renewal for a whole length the
 * lease is taken for lost: somebody else may have the ticket by then. Only durations are measured, so the clock of
 * this machine may be wrong.
 */
export async function keepLease(input: KeepLeaseInput): Promise<void> {
  const { leaseTtlMs, signal } = input
  const intervalMs = Math.floor(leaseTtlMs / 3)
  let renewedAt = input.claimedAt
  let nextAt = renewedAt + intervalMs
  while (!signal.aborted) {
    await pause(nextAt - performance.now(), signal)
    if (signal.aborted) return
    const sentAt = performance.now()
    const endsAt = renewedAt + leaseTtlMs
    try {
      const lease = await input.beat(AbortSignal.any([signal, limitTry(endsAt - sentAt, intervalMs)]))
      if (lease.isCancelRequested) return input.onEnd(new Error('somebody asked for the end'))
      renewedAt = sentAt
      nextAt = sentAt + intervalMs
    } catch (error) {
      if (signal.aborted) return
      if (!isWorthAnotherTry(error)) return input.onEnd(toError(error))
      nextAt = performance.now() + toAskedMs(error) + RETRY_DELAY_MS
      if (nextAt < endsAt) continue
      // No other one can get through in time, whatever the server asked for.
      await pause(endsAt - performance.now(), signal)
      if (signal.aborted) return
      return input.onEnd(new Error(`no heartbeat got through for ${leaseTtlMs} ms`, { cause: error }))
    }
  }
}

/** Not beyond the end of the lease, except for the first one of a claim whose answer was long under way. */
function limitTry(restMs: number, intervalMs: number): AbortSignal {
  return AbortSignal.timeout(Math.ceil(restMs > 0 ? Math.min(restMs, intervalMs) : intervalMs))
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
