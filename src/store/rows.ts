/** Rows of the database to the domain's nouns, and JSON to its text. */
import type { Selectable } from 'kysely'
import type { Effect } from '../domain/effect.ts'
import type { SwarmEvent } from '../domain/event.ts'
import type { ExternalStanding } from '../domain/external-ref.ts'
import type { Json, JsonObject } from '../domain/json.ts'
import type { Project } from '../domain/project.ts'
import type { PullRequest } from '../domain/pull-request.ts'
import type {
  AgentRecord,
  Artifact,
  Comment,
  Host,
  SandboxEntry,
  Token,
  Usage,
  WorkflowRecord,
} from '../domain/records.ts'
import type { Run, RunPins } from '../domain/run.ts'
import type { Attempt, Signal, StepInstance, Wait } from '../domain/step.ts'
import type { Ticket } from '../domain/ticket.ts'
import type { Database } from './schema.ts'

export type Row<Table extends keyof Database> = Selectable<Database[Table]>

export function toJson(value: Json): string {
  return JSON.stringify(value)
}

export function toJsonOrNull(value: Json | undefined): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value)
}

// Text in JSON columns was written by `toJson` from the type named here; it is trusted like any typed value.
function fromJson<T>(text: string): T {
  return JSON.parse(text) as T
}

function fromJsonOrNull<T>(text: string | null): T | null {
  return text === null ? null : fromJson<T>(text)
}

export function toProject(row: Row<'projects'>): Project {
  return {
    id: row.id,
    key: row.key,
    name: row.name,
    repositoryUrl: row.repository_url,
    forge: row.forge,
    defaultBranch: row.default_branch,
    defaultWorkflow: row.default_workflow,
    settings: fromJson<JsonObject>(row.settings),
    ticketCount: row.ticket_count,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    version: row.version,
  }
}

/** What is kept of a ticket's standing in its tracker; see `ExternalRef`. */
export type RefData = {
  readonly word: string
  readonly standing: ExternalStanding
  /** Of what was mirrored last, so that only what changed there is taken over */
  readonly digest: string
}

export function toRefData(row: Pick<Row<'external_refs'>, 'data'>): RefData {
  return fromJson<RefData>(row.data)
}

export function toTicket(row: Row<'tickets'>): Ticket {
  return {
    id: row.id,
    projectId: row.project_id,
    key: row.key,
    number: row.number,
    title: row.title,
    body: row.body,
    type: row.type,
    labels: fromJson<string[]>(row.labels),
    priority: row.priority,
    status: row.status,
    reason: row.reason,
    detail: row.detail,
    workflow: row.workflow,
    agent: row.agent,
    inputs: fromJson<JsonObject>(row.inputs),
    outputs: fromJsonOrNull<JsonObject>(row.outputs),
    notBefore: row.not_before,
    runCount: row.run_count,
    currentRunId: row.current_run_id,
    branch: row.branch,
    pullRequestId: row.pull_request_id,
    deadAt: row.dead_at,
    tracker: row.tracker,
    externalId: row.external_id,
    createdBy: row.created_by,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    finishedAt: row.finished_at,
    version: row.version,
  }
}

export function toComment(row: Row<'comments'>): Comment {
  return {
    id: row.id,
    ticketId: row.ticket_id,
    author: row.author,
    body: row.body,
    createdAt: row.created_at,
  }
}

export function toRun(row: Row<'runs'>): Run {
  return {
    id: row.id,
    ticketId: row.ticket_id,
    number: row.number,
    status: row.status,
    reason: row.reason,
    detail: row.detail,
    workflowId: row.workflow_id,
    workflow: row.workflow,
    inputs: fromJson<JsonObject>(row.inputs),
    outputs: fromJsonOrNull<JsonObject>(row.outputs),
    pins: fromJsonOrNull<RunPins>(row.pins),
    parentStepInstanceId: row.parent_step_instance_id,
    notBefore: row.not_before,
    lease: { holder: row.lease_holder, expiresAt: row.lease_expires_at, epoch: row.lease_epoch },
    cancelRequestedAt: row.cancel_requested_at,
    createdAt: row.created_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
  }
}

export function toStepInstance(row: Row<'steps'>): StepInstance {
  return {
    id: row.id,
    runId: row.run_id,
    stepId: row.step_id,
    index: row.position,
    key: row.key,
    kind: row.kind,
    status: row.status,
    reason: row.reason,
    detail: row.detail,
    item: fromJson<Json>(row.item),
    inputs: fromJsonOrNull<JsonObject>(row.inputs),
    outputs: fromJsonOrNull<JsonObject>(row.outputs),
    notBefore: row.not_before,
    attemptCount: row.attempt_count,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
  }
}

export function toAttempt(row: Row<'attempts'>): Attempt {
  return {
    id: row.id,
    runId: row.run_id,
    stepInstanceId: row.step_instance_id,
    number: row.number,
    status: row.status,
    phase: row.phase,
    reason: row.reason,
    detail: row.detail,
    sandboxId: row.sandbox_id,
    handle: fromJsonOrNull<JsonObject>(row.handle),
    exitCode: row.exit_code,
    outputs: fromJsonOrNull<JsonObject>(row.outputs),
    baseCommit: row.base_commit,
    resultCommit: row.result_commit,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
  }
}

export function toWait(row: Row<'waits'>): Wait {
  return {
    id: row.id,
    runId: row.run_id,
    stepInstanceId: row.step_instance_id,
    kind: row.kind,
    subject: row.subject,
    deadlineAt: row.deadline_at,
    createdAt: row.created_at,
    resolvedAt: row.resolved_at,
    resolvedBy: row.resolved_by,
    resolution: fromJsonOrNull<JsonObject>(row.resolution),
  }
}

export function toSignal(row: Row<'signals'>): Signal {
  return {
    id: row.id,
    runId: row.run_id,
    name: row.name,
    payload: fromJson<JsonObject>(row.payload),
    createdAt: row.created_at,
    consumedAt: row.consumed_at,
  }
}

export function toEffect(row: Row<'effects'>): Effect {
  return {
    id: row.id,
    key: row.key,
    kind: row.kind,
    ticketId: row.ticket_id,
    runId: row.run_id,
    stepInstanceId: row.step_instance_id,
    payload: fromJson<JsonObject>(row.payload),
    status: row.status,
    attemptCount: row.attempt_count,
    notBefore: row.not_before,
    result: fromJsonOrNull<JsonObject>(row.result),
    reason: row.reason,
    detail: row.detail,
    createdAt: row.created_at,
    finishedAt: row.finished_at,
  }
}

export function toPullRequest(row: Row<'pull_requests'>): PullRequest {
  return {
    id: row.id,
    projectId: row.project_id,
    ticketId: row.ticket_id,
    runId: row.run_id,
    forge: row.forge,
    number: row.number,
    title: row.title,
    body: row.body,
    branch: row.branch,
    baseBranch: row.base_branch,
    headCommit: row.head_commit,
    baseCommit: row.base_commit,
    mergeCommit: row.merge_commit,
    status: row.status,
    reviewState: row.review_state,
    diff: row.diff,
    isDiffTruncated: row.is_diff_truncated === 1,
    additionCount: row.addition_count,
    deletionCount: row.deletion_count,
    changedFiles: fromJson<string[]>(row.changed_files),
    url: row.url,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    mergedAt: row.merged_at,
  }
}

export function toSandboxEntry(row: Row<'sandboxes'>): SandboxEntry {
  return {
    id: row.id,
    hostId: row.host_id,
    driver: row.driver,
    runId: row.run_id,
    stepInstanceId: row.step_instance_id,
    attemptId: row.attempt_id,
    status: row.status,
    reason: row.reason,
    createdAt: row.created_at,
    endedAt: row.ended_at,
  }
}

export function toHost(row: Row<'hosts'>): Host {
  return {
    id: row.id,
    name: row.name,
    holder: row.holder,
    pid: row.pid,
    bootId: row.boot_id,
    slotCount: row.slot_count,
    startedAt: row.started_at,
    lastSeenAt: row.last_seen_at,
    stoppedAt: row.stopped_at,
  }
}

export function toArtifact(row: Row<'artifacts'>): Artifact {
  return {
    id: row.id,
    runId: row.run_id,
    stepInstanceId: row.step_instance_id,
    attempt: row.attempt,
    name: row.name,
    path: row.path,
    byteCount: row.byte_count,
    sha256: row.sha256,
    createdAt: row.created_at,
  }
}

export function toToken(row: Row<'tokens'>): Token {
  return {
    id: row.id,
    name: row.name,
    scopes: fromJson<Token['scopes']>(row.scopes),
    runId: row.run_id,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    lastUsedAt: row.last_used_at,
  }
}

export function toAgentRecord(row: Row<'agents'>): AgentRecord {
  return {
    id: row.id,
    name: row.name,
    version: row.version,
    manifest: fromJson<JsonObject>(row.manifest),
    path: row.path,
    digest: row.digest,
    source: row.source,
    createdAt: row.created_at,
  }
}

export function toWorkflowRecord(row: Row<'workflows'>): WorkflowRecord {
  return {
    id: row.id,
    name: row.name,
    version: row.version,
    text: row.text,
    digest: row.digest,
    source: row.source,
    createdAt: row.created_at,
  }
}

export function toUsage(row: Row<'usage'>): Usage {
  return {
    runId: row.run_id,
    stepInstanceId: row.step_instance_id,
    attempt: row.attempt,
    model: row.model,
    inputTokenCount: row.input_token_count,
    outputTokenCount: row.output_token_count,
    costMicroUsd: row.cost_micro_usd,
    durationMs: row.duration_ms,
    createdAt: row.created_at,
  }
}

export function toEvent(row: Row<'events'>): SwarmEvent {
  return {
    seq: row.seq,
    at: row.at,
    type: row.type,
    actor: row.actor,
    ticketId: row.ticket_id,
    runId: row.run_id,
    stepInstanceId: row.step_instance_id,
    attempt: row.attempt,
    data: fromJson<JsonObject>(row.data),
  }
}
