import type { RunId, StepInstanceId, TicketId } from './id.ts'
import type { JsonObject } from './json.ts'

/** Facts, past tense, immutable: state changes and agent milestones. Output is not here, see attempt logs. */
export const EVENT_TYPES = [
  'project.created',
  'project.updated',
  'ticket.created',
  'ticket.updated',
  'ticket.commented',
  'ticket.claimed',
  'ticket.taken',
  'ticket.requeued',
  'ticket.blocked',
  'ticket.unblocked',
  'ticket.flagged',
  'ticket.waiting',
  'ticket.in_review',
  'ticket.done',
  'ticket.failed',
  'ticket.canceled',
  'run.claimed',
  'run.translated',
  'run.progressed',
  'run.parked',
  'run.resumed',
  'run.released',
  'run.lease_expired',
  'run.cancel_requested',
  'run.succeeded',
  'run.failed',
  'run.canceled',
  'step.created',
  'step.started',
  'step.waiting',
  'step.succeeded',
  'step.failed',
  'step.retried',
  'step.skipped',
  'step.canceled',
  'attempt.started',
  'attempt.phase_changed',
  'attempt.succeeded',
  'attempt.failed',
  'attempt.lost',
  'attempt.canceled',
  'wait.opened',
  'wait.resolved',
  'wait.expired',
  'signal.received',
  'effect.enqueued',
  'effect.sent',
  'effect.retried',
  'effect.dead',
  'sandbox.created',
  'sandbox.ready',
  'sandbox.gone',
  'sandbox.lost',
  'pull_request.opened',
  'pull_request.updated',
  'pull_request.reviewed',
  'pull_request.merged',
  'pull_request.closed',
  'pull_request.conflicted',
  'artifact.added',
  'gateway.requested',
  'gateway.refused',
  'agent.registered',
  'agent.milestone',
  'workflow.registered',
  'host.started',
  'host.stopped',
  'token.created',
  'token.revoked',
] as const
export type EventType = (typeof EVENT_TYPES)[number]

/** One row of the one sequence. */
export type SwarmEvent = {
  /** Position in the sequence, from 1, growing */
  readonly seq: number
  readonly at: number
  readonly type: EventType
  /** Who did it: `coordinator`, `token:<name>`, `agent:<holder>` … */
  readonly actor: string
  readonly ticketId: TicketId | null
  readonly runId: RunId | null
  readonly stepInstanceId: StepInstanceId | null
  /** Number of the attempt, when there is one */
  readonly attempt: number | null
  readonly data: JsonObject
}
