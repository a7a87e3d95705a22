/** Tables as the shared queries see them. Instants are `ms` since the epoch, flags 0 or 1, JSON is text. */
import type { Generated } from 'kysely'
import type { EffectKind } from '../domain/effect.ts'
import type { EventType } from '../domain/event.ts'
import type {
  AgentId,
  ArtifactId,
  AttemptId,
  CommentId,
  EffectId,
  HostId,
  ProjectId,
  PullRequestId,
  RunId,
  SandboxId,
  SignalId,
  StepInstanceId,
  TicketId,
  TokenId,
  WaitId,
  WorkflowId,
} from '../domain/id.ts'
import type { ReviewState } from '../domain/pull-request.ts'
import type { Reason } from '../domain/reason.ts'
import type {
  AttemptStatus,
  EffectStatus,
  PullRequestStatus,
  RunStatus,
  SandboxStatus,
  StepStatus,
  Thing,
  TicketStatus,
} from '../domain/status.ts'
import type { AttemptPhase, WaitKind } from '../domain/step.ts'

/** JSON as text; read and written in `rows.ts` only. */
export type JsonText = string
type Flag = 0 | 1

export type ProjectsTable = {
  id: ProjectId
  key: string
  name: string
  repository_url: string | null
  forge: string
  default_branch: string
  default_workflow: string | null
  settings: JsonText
  ticket_count: number
  created_at: number
  updated_at: number
  version: number
}

export type TicketsTable = {
  id: TicketId
  project_id: ProjectId
  key: string
  number: number
  title: string
  body: string
  type: string
  labels: JsonText
  priority: number
  status: TicketStatus
  reason: Reason | null
  detail: string | null
  workflow: string | null
  agent: string | null
  inputs: JsonText
  outputs: JsonText | null
  not_before: number
  /** Since when it is `pending`; kept while it is not */
  queued_at: number
  run_count: number
  current_run_id: RunId | null
  branch: string | null
  pull_request_id: PullRequestId | null
  dead_at: number | null
  created_by: string
  created_at: number
  updated_at: number
  finished_at: number | null
  version: number
  /** Tracker that it was mirrored from, and what it is called there */
  tracker: string | null
  external_id: string | null
}

/** The ticket's labels again, one per row, for filters. */
export type TicketLabelsTable = { ticket_id: TicketId; label: string }
export type TicketDependenciesTable = { ticket_id: TicketId; depends_on_id: TicketId }
export type CommentsTable = {
  id: CommentId
  ticket_id: TicketId
  author: string
  body: string
  created_at: number
}

export type AgentsTable = {
  id: AgentId
  name: string
  version: string
  manifest: JsonText
  path: string
  digest: string
  source: 'shipped' | 'registered'
  created_at: number
}

export type WorkflowsTable = {
  id: WorkflowId
  name: string
  version: string
  text: string
  digest: string
  source: 'shipped' | 'registered' | 'repository'
  created_at: number
}

export type RunsTable = {
  id: RunId
  ticket_id: TicketId
  number: number
  status: RunStatus
  reason: Reason | null
  detail: string | null
  workflow_id: WorkflowId | null
  workflow: string | null
  inputs: JsonText
  outputs: JsonText | null
  pins: JsonText | null
  parent_step_instance_id: StepInstanceId | null
  not_before: number
  lease_holder: string | null
  lease_expires_at: number | null
  lease_epoch: number
  /** Holder under which it ended, so that a repeated report is recognised */
  finished_by: string | null
  cancel_requested_at: number | null
  /** Why its end was asked for, when it was for more than a person's wish */
  cancel_reason: Reason | null
  cancel_detail: string | null
  /** The ticket's priority, age and number again: the order of the queue, from one index */
  priority: number
  ticket_created_at: number
  ticket_number: number
  /** Since when it is `queued`; kept while it is not */
  queued_at: number
  created_at: number
  started_at: number | null
  finished_at: number | null
}

export type StepsTable = {
  id: StepInstanceId
  run_id: RunId
  step_id: string
  /** Place within a `for-each`, from 0 */
  position: number | null
  key: string
  kind: string
  status: StepStatus
  reason: Reason | null
  detail: string | null
  item: JsonText
  inputs: JsonText | null
  outputs: JsonText | null
  not_before: number
  attempt_count: number
  /** Order of creation within the run, from 1 */
  ordinal: number
  started_at: number | null
  finished_at: number | null
}

export type AttemptsTable = {
  id: AttemptId
  run_id: RunId
  step_instance_id: StepInstanceId
  number: number
  status: AttemptStatus
  phase: AttemptPhase
  reason: Reason | null
  detail: string | null
  sandbox_id: SandboxId | null
  handle: JsonText | null
  exit_code: number | null
  outputs: JsonText | null
  base_commit: string | null
  result_commit: string | null
  started_at: number
  finished_at: number | null
}

export type WaitsTable = {
  id: WaitId
  run_id: RunId
  step_instance_id: StepInstanceId
  kind: WaitKind
  subject: string
  deadline_at: number | null
  created_at: number
  resolved_at: number | null
  resolved_by: string | null
  resolution: JsonText | null
}

export type SignalsTable = {
  seq: Generated<number>
  id: SignalId
  run_id: RunId
  name: string
  payload: JsonText
  created_at: number
  consumed_at: number | null
}

/** A conversation with an agent, so that a further run can go on with it. */
export type AgentSessionsTable = {
  id: string
  ticket_id: TicketId
  run_id: RunId
  step_instance_id: StepInstanceId
  agent: string
  /** The agent's own name for the session */
  session: string
  data: JsonText
  created_at: number
  updated_at: number
}

export type UsageTable = {
  seq: Generated<number>
  run_id: RunId
  step_instance_id: StepInstanceId | null
  attempt: number | null
  model: string | null
  input_token_count: number
  output_token_count: number
  cost_micro_usd: number | null
  duration_ms: number
  created_at: number
}

export type HostsTable = {
  id: HostId
  name: string
  holder: string
  pid: number
  boot_id: string
  slot_count: number
  started_at: number
  last_seen_at: number
  stopped_at: number | null
}

export type SandboxesTable = {
  id: SandboxId
  host_id: HostId
  driver: string
  run_id: RunId
  step_instance_id: StepInstanceId
  attempt_id: AttemptId
  status: SandboxStatus
  reason: Reason | null
  created_at: number
  ended_at: number | null
}

export type EventsTable = {
  seq: Generated<number>
  at: number
  type: EventType
  actor: string
  ticket_id: TicketId | null
  run_id: RunId | null
  step_instance_id: StepInstanceId | null
  attempt: number | null
  data: JsonText
}

export type ArtifactsTable = {
  id: ArtifactId
  run_id: RunId
  step_instance_id: StepInstanceId
  attempt: number
  name: string
  path: string
  byte_count: number
  sha256: string
  created_at: number
}

export type PullRequestsTable = {
  id: PullRequestId
  project_id: ProjectId
  ticket_id: TicketId
  run_id: RunId
  forge: string
  number: number
  title: string
  body: string
  branch: string
  base_branch: string
  head_commit: string
  base_commit: string
  merge_commit: string | null
  status: PullRequestStatus
  review_state: ReviewState
  diff: string
  is_diff_truncated: Flag
  addition_count: number
  deletion_count: number
  changed_files: JsonText
  url: string | null
  created_at: number
  updated_at: number
  merged_at: number | null
}

export type EffectsTable = {
  /** Order of the outbox */
  seq: Generated<number>
  id: EffectId
  key: string
  kind: EffectKind
  ticket_id: TicketId
  run_id: RunId | null
  step_instance_id: StepInstanceId | null
  payload: JsonText
  status: EffectStatus
  /** Holder that sends it, or sent it last */
  sender: string | null
  attempt_count: number
  not_before: number
  result: JsonText | null
  reason: Reason | null
  detail: string | null
  created_at: number
  finished_at: number | null
}

/** What one of ours is called in another system. */
export type ExternalRefsTable = {
  tracker: string
  external_id: string
  ticket_id: TicketId
  data: JsonText
  created_at: number
  updated_at: number
}

export type CountersTable = { name: string; value: number }

export type TokensTable = {
  id: TokenId
  name: string
  scopes: JsonText
  run_id: RunId | null
  /** SHA-256 of the secret, hex */
  secret_hash: string
  created_at: number
  expires_at: number | null
  revoked_at: number | null
  last_used_at: number | null
}

/** Sealed outside the store; plaintext never comes here. */
export type SecretsTable = {
  name: string
  /** Which key sealed it */
  key_id: string
  sealed: string
  created_at: number
  updated_at: number
}

export type AuditTable = {
  seq: Generated<number>
  at: number
  actor: string
  action: string
  subject: string
  data: JsonText
}

export type IdempotencyKeysTable = {
  key: string
  fingerprint: string
  value: JsonText
  created_at: number
}

export type StatusTransitionsTable = { thing: Thing; from_status: string; to_status: string }

export type Database = {
  projects: ProjectsTable
  tickets: TicketsTable
  ticket_labels: TicketLabelsTable
  ticket_dependencies: TicketDependenciesTable
  comments: CommentsTable
  agents: AgentsTable
  workflows: WorkflowsTable
  runs: RunsTable
  steps: StepsTable
  attempts: AttemptsTable
  waits: WaitsTable
  signals: SignalsTable
  agent_sessions: AgentSessionsTable
  usage: UsageTable
  hosts: HostsTable
  sandboxes: SandboxesTable
  events: EventsTable
  artifacts: ArtifactsTable
  pull_requests: PullRequestsTable
  effects: EffectsTable
  external_refs: ExternalRefsTable
  counters: CountersTable
  tokens: TokensTable
  secrets: SecretsTable
  audit: AuditTable
  idempotency_keys: IdempotencyKeysTable
  status_transitions: StatusTransitionsTable
}
