import { classOf, type Reason, type ReasonClass, retryRuleOf } from './reason.ts'

/** How often and how long after a failed attempt another one begins. */
export type RetryPolicy = {
  /** Attempts in all, the first one included */
  readonly attemptCountMax: number
  /** Delay before the second attempt, `ms`; doubles with each further one */
  readonly backoffMs: number
  /** Longest delay, `ms`, before jitter */
  readonly backoffMaxMs: number
  /** Classes that are tried again; the default is every class whose rule is `step` */
  readonly on: readonly ReasonClass[]
}

export const DEFAULT_RETRY: RetryPolicy = {
  attemptCountMax: 3,
  backoffMs: 5_000,
  backoffMaxMs: 300_000,
  on: ['infrastructure', 'agent', 'model', 'timeout'],
}

const JITTER_SHARE = 0.2

/**
 * Delay before the attempt after `attempt`, `ms`: exponential, capped, with up to 20 % jitter added, so that
 * a retry is never earlier than the policy says.
 * @param attempt number of the attempt that failed, counted from 1
 * @param random from 0 to below 1; the caller draws it
 */
export function retryDelayMs(policy: RetryPolicy, attempt: number, random: number): number {
  const exponential = Math.min(policy.backoffMs * 2 ** Math.min(attempt - 1, 40), policy.backoffMaxMs)
  return Math.round(exponential * (1 + JITTER_SHARE * random))
}

export type RetryDecision =
  | { readonly kind: 'retry'; readonly notBefore: number }
  | { readonly kind: 'give-up' }

/**
 * Whether a failed attempt is repeated, and not before when. Decided here only.
 * @param retryAfterMs what the other side asked for (a provider's `retry-after`), `ms`; wins when longer
 */
export function decideRetry(input: {
  readonly policy: RetryPolicy
  readonly reason: Reason
  readonly attempt: number
  readonly now: number
  readonly random: number
  readonly retryAfterMs?: number
}): RetryDecision {
  const { policy, reason, attempt, now, random } = input
  const reasonClass = classOf(reason)
  if (retryRuleOf(reasonClass) !== 'step') return { kind: 'give-up' }
  if (!policy.on.includes(reasonClass) || attempt >= policy.attemptCountMax) return { kind: 'give-up' }
  const delayMs = Math.max(retryDelayMs(policy, attempt, random), input.retryAfterMs ?? 0)
  return { kind: 'retry', notBefore: now + delayMs }
}
