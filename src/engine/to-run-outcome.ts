import type { JsonObject } from '../domain/json.ts'
import type { Reason } from '../domain/reason.ts'
import { DEFAULT_RETRY, retryDelayMs } from '../domain/retry.ts'
import { decideTicketAfterFailure } from '../domain/run-failure.ts'
import type { RunOutcome, RunState } from '../store/contract.ts'
import type { Workflow } from '../workflow/workflow.ts'
import { findHeads } from './find-heads.ts'
import type { EngineDeps } from './ports.ts'
import { getPins } from './to-planner-state.ts'

/** `done-when` decides whether the ticket is done now or waits for its pull request. */
export function toSucceededOutcome(state: RunState, workflow: Workflow, outputs: JsonObject): RunOutcome {
  const awaitsMerge = workflow.doneWhen === 'merged' && state.ticket.pullRequestId !== null
  return {
    status: 'succeeded',
    outputs: state.run.parentStepInstanceId === null ? outputs : withCommit(state, workflow, outputs),
    ticket: awaitsMerge ? 'review' : 'done',
  }
}

/** A child run hands the commit that it ended with to the run that started it. */
function withCommit(state: RunState, workflow: Workflow, outputs: JsonObject): JsonObject {
  const needed = new Set(workflow.steps.flatMap((step) => step.needs))
  const last = workflow.steps.filter((step) => !needed.has(step.id)).map((step) => step.id)
  const [commit, ...others] = findHeads({
    workflow: { ...workflow, steps: [...workflow.steps, { ...END_STEP, needs: last }] },
    stepId: END_STEP.id,
    instances: state.instances,
    attempts: state.attempts,
    startCommit: getPins(state).startCommit,
  })
  return commit === undefined || others.length > 0 ? outputs : { ...outputs, commit }
}

/** Stands behind the last steps; its name cannot be a step's. */
const END_STEP = {
  id: '',
  kind: 'wait',
  until: { signal: '' },
  onFailure: 'fail',
} as const

export function toFailedOutcome(
  deps: Pick<EngineDeps, 'settings' | 'store' | 'random'>,
  state: RunState,
  failure: { reason: Reason; message: string; outputs: JsonObject },
): RunOutcome {
  const { runCountMax, backoffMs, backoffMaxMs } = deps.settings.runRetry
  const { runCount } = state.ticket
  const policy = { ...DEFAULT_RETRY, backoffMs, backoffMaxMs }
  return {
    status: 'failed',
    reason: failure.reason,
    detail: toDetail(state, failure),
    outputs: failure.outputs,
    ticket: decideTicketAfterFailure({
      reason: failure.reason,
      runCount,
      runCountMax,
      now: deps.store.now(),
      delayMs: retryDelayMs(policy, Math.max(1, runCount), deps.random.number()),
    }),
  }
}

const STEP_DETAIL_CHARS_MAX = 500

/** Which step it was, and in a line what was wrong there: what people read on the ticket. */
function toDetail({ instances }: RunState, { reason, message }: { reason: Reason; message: string }): string {
  const failed = instances.find((instance) => instance.status === 'failed' && instance.reason === reason)
  const [line = ''] = (failed?.detail ?? '').trim().split('\n')
  if (line === '' || message.includes(line)) return message.slice(0, 8_000)
  return `${message}: ${line.slice(0, STEP_DETAIL_CHARS_MAX)}`.slice(0, 8_000)
}
