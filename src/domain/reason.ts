/** Why something failed, waits or was refused: a closed list; each reason has a class, each class a rule. */
export const REASON_CLASSES = [
  'infrastructure',
  'agent',
  'verification',
  'model',
  'budget',
  'timeout',
  'configuration',
  'person',
] as const
export type ReasonClass = (typeof REASON_CLASSES)[number]

export const REASONS = {
  // infrastructure: not the work's fault; retried
  sandbox_failed: 'infrastructure',
  sandbox_lost: 'infrastructure',
  host_gone: 'infrastructure',
  lease_expired: 'infrastructure',
  network_failed: 'infrastructure',
  disk_full: 'infrastructure',
  forge_failed: 'infrastructure',
  push_failed: 'infrastructure',
  tracker_failed: 'infrastructure',
  // agent: the program inside did not deliver; retried within attempts
  agent_failed: 'agent',
  agent_crashed: 'agent',
  command_failed: 'agent',
  result_missing: 'agent',
  result_invalid: 'agent',
  no_progress: 'agent',
  out_of_memory: 'agent',
  http_failed: 'agent',
  // verification: the work did not pass; a further run gets the feedback
  verification_failed: 'verification',
  verification_error: 'verification',
  no_change: 'verification',
  merge_conflict: 'verification',
  // model
  model_rate_limited: 'model',
  model_overloaded: 'model',
  model_failed: 'model',
  // budget and time
  budget: 'budget',
  timed_out: 'timeout',
  wait_expired: 'timeout',
  // configuration: repeating cannot help
  unroutable: 'configuration',
  workflow_invalid: 'configuration',
  agent_unknown: 'configuration',
  reference_unresolved: 'configuration',
  input_invalid: 'configuration',
  repository_missing: 'configuration',
  repository_refused: 'configuration',
  branch_protected: 'configuration',
  sandbox_unavailable: 'configuration',
  driver_unsupported: 'configuration',
  too_many_instances: 'configuration',
  tracker_refused: 'configuration',
  // a person's or a neighbour's decision
  canceled_by_person: 'person',
  rejected: 'person',
  pull_request_closed: 'person',
  changes_requested: 'person',
  dependency_open: 'person',
  dependency_failed: 'person',
  dependency_canceled: 'person',
  taken_elsewhere: 'person',
  gone_from_tracker: 'person',
  waiting_for_approval: 'person',
  waiting_for_answer: 'person',
  waiting_for_review: 'person',
  waiting_for_signal: 'person',
  waiting_for_time: 'person',
  waiting_for_effect: 'person',
  waiting_for_run: 'person',
  step_failed: 'person',
  condition_false: 'person',
  need_not_met: 'person',
  parent_ended: 'person',
} as const satisfies Record<string, ReasonClass>

export type Reason = keyof typeof REASONS

/** The reason's class. */
export function classOf(reason: Reason): ReasonClass {
  return REASONS[reason]
}

/** Whether a text is one of ours; anything else from outside becomes the caller's default. */
export function isReason(text: string): text is Reason {
  return Object.hasOwn(REASONS, text)
}

type RetryRule = 'step' | 'run' | 'never'

/** `step`: another attempt of the same instance; `run`: a further run with the feedback; `never`: a person decides. */
const RETRY_RULES: Readonly<Record<ReasonClass, RetryRule>> = {
  infrastructure: 'step',
  agent: 'step',
  model: 'step',
  timeout: 'step',
  verification: 'run',
  budget: 'never',
  configuration: 'never',
  person: 'never',
}

/** How trouble of this class is repeated when nothing else is said. */
export function retryRuleOf(reasonClass: ReasonClass): RetryRule {
  return RETRY_RULES[reasonClass]
}
