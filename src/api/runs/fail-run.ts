import { classOf, type Reason, retryRuleOf } from '../../domain/reason.ts'
import { type RetryPolicy, retryDelayMs } from '../../domain/retry.ts'
import { failRunSpec } from '../../rest-schema/operations/runs.ts'
import type { RunOutcome, Store } from '../../store/contract.ts'
import { LeaseLostError } from '../../store/errors.ts'
import { toHolder } from '../caller.ts'
import { getRun, getTicket } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toRunBody } from '../run-body.ts'
import { toTicketBody } from '../ticket-body.ts'
import { asHolder } from './as-holder.ts'

export type FailRunDeps = {
  readonly store: Pick<Store, 'read' | 'now'>
  readonly control: { wake(): void }
  readonly config: { readonly runRetry: RetryPolicy }
  readonly randomBytes: (count: number) => Uint8Array
}

export function failRun({ store, control, config, randomBytes }: FailRunDeps) {
  return operation(failRunSpec, async ({ params: { runId }, body, caller, change }) => {
    const { ticketId } = await getRun(store.read, runId)
    const { runCount } = await getTicket(store.read, ticketId)
    const { reason, detail, outputs, isFinal } = body
    const random = ((randomBytes(1)[0] ?? 0) % 256) / 256
    const facts = { reason, runCount, isFinal, policy: config.runRetry, now: store.now(), random }
    const outcome: RunOutcome = {
      status: 'failed',
      reason,
      detail,
      ticket: decideTicket(facts),
      ...(outputs === undefined ? {} : { outputs }),
    }
    const finish = () =>
      change(async (write) => {
        const holder = toHolder(caller, body.holder)
        const { run, ticket } = await write.finishRun({ runId, holder, epoch: body.epoch, outcome })
        // The store takes a failed run's report again; one that another reason ended was not this agent's to end.
        if (run.reason !== reason) throw new LeaseLostError(runId, body.epoch)
        const finished = { run: toRunBody(run), ticket: toTicketBody(ticket) }
        return { status: 200, body: finished, after: () => control.wake() }
      })
    return await asHolder(store.read, runId, finish)
  })
}

type FailedOutcome = Extract<RunOutcome, { status: 'failed' }>

/** An outside agent's run has no steps: what is elsewhere another attempt is here another run. */
export function decideTicket(facts: {
  readonly reason: Reason
  readonly runCount: number
  readonly isFinal: boolean
  readonly policy: RetryPolicy
  readonly now: number
  /** From 0 to below 1 */
  readonly random: number
}): FailedOutcome['ticket'] {
  const { reason, runCount, isFinal, policy, now, random } = facts
  if (isFinal || retryRuleOf(classOf(reason)) === 'never') return { kind: 'fail' }
  if (runCount >= policy.attemptCountMax) return { kind: 'dead' }
  return { kind: 'requeue', notBefore: now + retryDelayMs(policy, runCount, random) }
}
