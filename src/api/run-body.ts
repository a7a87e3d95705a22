import type { Artifact, SandboxEntry, Usage } from '../domain/records.ts'
import type { Run } from '../domain/run.ts'
import type { Attempt, Signal, StepInstance, Wait } from '../domain/step.ts'
import type { AttemptBody, RunBody, StepBody, WaitBody } from '../rest-schema/run.ts'
import { toFutureInstant, toInstant, toInstantOrNull } from './instant.ts'

/** The run as the API shows it. */
export function toRunBody(run: Run): RunBody {
  return {
    id: run.id,
    ticketId: run.ticketId,
    number: run.number,
    status: run.status,
    reason: run.reason,
    detail: run.detail,
    workflow: run.workflow,
    agent: run.pins?.agent ?? null,
    inputs: run.inputs,
    outputs: run.outputs,
    branch: run.pins?.branch ?? null,
    baseCommit: run.pins?.baseCommit ?? null,
    rule: run.pins?.rule ?? null,
    parentStepInstanceId: run.parentStepInstanceId,
    notBefore: toFutureInstant(run.notBefore),
    lease: { ...run.lease, expiresAt: toInstantOrNull(run.lease.expiresAt) },
    cancelRequestedAt: toInstantOrNull(run.cancelRequestedAt),
    createdAt: toInstant(run.createdAt),
    startedAt: toInstantOrNull(run.startedAt),
    finishedAt: toInstantOrNull(run.finishedAt),
  }
}

export function toStepBody(instance: StepInstance, attempts: readonly Attempt[]): StepBody {
  return {
    id: instance.id,
    key: instance.key,
    stepId: instance.stepId,
    index: instance.index,
    kind: instance.kind,
    status: instance.status,
    reason: instance.reason,
    detail: instance.detail,
    item: instance.item,
    inputs: instance.inputs,
    outputs: instance.outputs,
    notBefore: toFutureInstant(instance.notBefore),
    attemptCount: instance.attemptCount,
    startedAt: toInstantOrNull(instance.startedAt),
    finishedAt: toInstantOrNull(instance.finishedAt),
    attempts: attempts.filter((attempt) => attempt.stepInstanceId === instance.id).map(toAttemptBody),
  }
}

/** Without `handle`: that is between the executor and itself. */
function toAttemptBody(attempt: Attempt): AttemptBody {
  return {
    id: attempt.id,
    number: attempt.number,
    status: attempt.status,
    phase: attempt.phase,
    reason: attempt.reason,
    detail: attempt.detail,
    sandboxId: attempt.sandboxId,
    exitCode: attempt.exitCode,
    outputs: attempt.outputs,
    baseCommit: attempt.baseCommit,
    resultCommit: attempt.resultCommit,
    startedAt: toInstant(attempt.startedAt),
    finishedAt: toInstantOrNull(attempt.finishedAt),
  }
}

export function toWaitBody(wait: Wait): WaitBody {
  return {
    id: wait.id,
    stepInstanceId: wait.stepInstanceId,
    kind: wait.kind,
    subject: wait.subject,
    deadlineAt: toInstantOrNull(wait.deadlineAt),
    createdAt: toInstant(wait.createdAt),
    resolvedAt: toInstantOrNull(wait.resolvedAt),
    resolvedBy: wait.resolvedBy,
    resolution: wait.resolution,
  }
}

export function toSandboxBody(entry: SandboxEntry) {
  const { id, driver, stepInstanceId, status, reason } = entry
  const createdAt = toInstant(entry.createdAt)
  return { id, driver, stepInstanceId, status, reason, createdAt, endedAt: toInstantOrNull(entry.endedAt) }
}

export function toUsageTotal(usages: readonly Usage[]) {
  const sum = (pick: (usage: Usage) => number) => usages.reduce((total, usage) => total + pick(usage), 0)
  return {
    inputTokenCount: sum((usage) => usage.inputTokenCount),
    outputTokenCount: sum((usage) => usage.outputTokenCount),
    /** A sum with an unknown part is unknown */
    costMicroUsd: usages.some((usage) => usage.costMicroUsd === null)
      ? null
      : sum((usage) => usage.costMicroUsd ?? 0),
    durationMs: sum((usage) => usage.durationMs),
  }
}

export function toSignalBody(signal: Signal) {
  return {
    ...signal,
    createdAt: toInstant(signal.createdAt),
    consumedAt: toInstantOrNull(signal.consumedAt),
  }
}

/** Without `path`: where the bytes lie is nobody's business. */
export function toArtifactBody(artifact: Artifact) {
  const { id, stepInstanceId, attempt, name, byteCount, sha256 } = artifact
  return { id, stepInstanceId, attempt, name, byteCount, sha256, createdAt: toInstant(artifact.createdAt) }
}
