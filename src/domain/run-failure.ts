import { classOf, type Reason, retryRuleOf } from './reason.ts'

export type TicketAfterFailure =
  | { readonly kind: 'requeue'; readonly notBefore: number }
  | { readonly kind: 'fail' }
  | { readonly kind: 'dead' }

/**
 * What becomes of a ticket whose run failed. Work that did not pass its verification gets a further run with
 * the feedback; trouble that steps have tried again already is a dead letter; what repeating cannot help fails.
 * @param runCount runs begun for the ticket, this one included
 */
export function decideTicketAfterFailure(input: {
  readonly reason: Reason
  readonly runCount: number
  readonly runCountMax: number
  readonly now: number
  /** Delay before the next run, `ms` */
  readonly delayMs: number
}): TicketAfterFailure {
  const rule = retryRuleOf(classOf(input.reason))
  if (rule === 'never') return { kind: 'fail' }
  if (rule === 'step' || input.runCount >= input.runCountMax) return { kind: 'dead' }
  return { kind: 'requeue', notBefore: input.now + input.delayMs }
}
