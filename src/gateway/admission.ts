import type { DenialReason, DoorLimits } from './contract.ts'

export type Admission =
  | { readonly kind: 'admitted'; release(): void }
  | { readonly kind: 'refused'; readonly reason: DenialReason; readonly retryAfterMs: number }

/** Counts the requests of one door: how many at once, how many per minute (a bucket that refills evenly). */
export function createAdmission(
  limits: Pick<DoorLimits, 'requestsPerMinute' | 'concurrentRequests'>,
  now: () => number,
): () => Admission {
  let running = 0
  let tokens = limits.requestsPerMinute
  let refilledAt = now()
  const perMs = limits.requestsPerMinute / 60_000

  return () => {
    const at = now()
    tokens = Math.min(limits.requestsPerMinute, tokens + Math.max(0, at - refilledAt) * perMs)
    refilledAt = at
    if (running >= limits.concurrentRequests) {
      return { kind: 'refused', reason: 'too_many_requests_at_once', retryAfterMs: 1_000 }
    }
    if (tokens < 1) {
      return { kind: 'refused', reason: 'rate_limited', retryAfterMs: Math.ceil((1 - tokens) / perMs) }
    }
    tokens -= 1
    running += 1
    let isReleased = false
    return {
      kind: 'admitted',
      release() {
        if (!isReleased) running -= 1
        isReleased = true
      },
    }
  }
}
