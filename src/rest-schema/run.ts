import * as z from 'zod'
import { type AttemptStatus, listStatuses, type RunStatus, type StepStatus } from '../domain/status.ts'
import { reasonSchema } from './reason.ts'
import {
  commaListSchema,
  cursorSchema,
  flagSchema,
  idSchema,
  instantSchema,
  jsonObjectSchema,
  jsonSchema,
  pageCountSchema,
  textSchema,
} from './text.ts'
import { ticketRefSchema, ticketSchema } from './ticket.ts'

export const runStatusSchema = z.enum(listStatuses('run') as [RunStatus, ...RunStatus[]])

export const runSchema = z
  .object({
    id: idSchema('run'),
    ticketId: idSchema('ticket'),
    number: z.number().int(),
    status: runStatusSchema,
    reason: reasonSchema.nullable(),
    detail: z.string().nullable(),
    workflow: z.string().nullable().meta({ description: 'Name and version: `code-change@1`' }),
    agent: z.string().nullable(),
    inputs: jsonObjectSchema,
    outputs: jsonObjectSchema.nullable(),
    branch: z.string().nullable(),
    baseCommit: z.string().nullable(),
    rule: z.string().nullable().meta({ description: 'Rule that routed the ticket' }),
    parentStepInstanceId: idSchema('step').nullable(),
    notBefore: instantSchema.nullable(),
    lease: z.object({
      holder: z.string().nullable(),
      expiresAt: instantSchema.nullable(),
      epoch: z.number().int(),
    }),
    cancelRequestedAt: instantSchema.nullable(),
    createdAt: instantSchema,
    startedAt: instantSchema.nullable(),
    finishedAt: instantSchema.nullable(),
  })
  .meta({ id: 'Run' })
export type RunBody = z.output<typeof runSchema>

export const attemptSchema = z
  .object({
    id: idSchema('attempt'),
    number: z.number().int(),
    status: z.enum(listStatuses('attempt') as [AttemptStatus, ...AttemptStatus[]]),
    phase: z.enum(['launching', 'awaiting', 'harvesting']),
    reason: reasonSchema.nullable(),
    detail: z.string().nullable(),
    sandboxId: idSchema('sandbox').nullable(),
    exitCode: z.number().int().nullable(),
    outputs: jsonObjectSchema.nullable(),
    baseCommit: z.string().nullable(),
    resultCommit: z.string().nullable(),
    startedAt: instantSchema,
    finishedAt: instantSchema.nullable(),
  })
  .meta({ id: 'Attempt' })
export type AttemptBody = z.output<typeof attemptSchema>

export const stepSchema = z
  .object({
    id: idSchema('step'),
    key: z.string().meta({ description: '`build` or `build[3]`' }),
    stepId: z.string(),
    index: z.number().int().nullable(),
    kind: z.string(),
    status: z.enum(listStatuses('step') as [StepStatus, ...StepStatus[]]),
    reason: reasonSchema.nullable(),
    detail: z.string().nullable(),
    item: jsonSchema,
    inputs: jsonObjectSchema.nullable(),
    outputs: jsonObjectSchema.nullable(),
    notBefore: instantSchema.nullable(),
    attemptCount: z.number().int(),
    startedAt: instantSchema.nullable(),
    finishedAt: instantSchema.nullable(),
    attempts: z.array(attemptSchema).readonly(),
  })
  .meta({ id: 'Step' })
export type StepBody = z.output<typeof stepSchema>

export const waitSchema = z
  .object({
    id: idSchema('wait'),
    stepInstanceId: idSchema('step'),
    kind: z.enum(['approval', 'question', 'timer', 'signal', 'effect', 'run']),
    subject: z.string().meta({ description: 'What a person is asked, or what is waited for' }),
    deadlineAt: instantSchema.nullable(),
    createdAt: instantSchema,
    resolvedAt: instantSchema.nullable(),
    resolvedBy: z.string().nullable(),
    resolution: jsonObjectSchema.nullable(),
  })
  .meta({ id: 'Wait' })
export type WaitBody = z.output<typeof waitSchema>

export const sandboxSchema = z
  .object({
    id: idSchema('sandbox'),
    driver: z.string(),
    stepInstanceId: idSchema('step'),
    status: z.string(),
    reason: reasonSchema.nullable(),
    createdAt: instantSchema,
    endedAt: instantSchema.nullable(),
  })
  .meta({ id: 'Sandbox' })

export const usageSchema = z
  .object({
    inputTokenCount: z.number().int(),
    outputTokenCount: z.number().int(),
    costMicroUsd: z.number().int().nullable().meta({ description: 'Millionths of a US dollar' }),
    durationMs: z.number().int(),
  })
  .meta({ id: 'UsageTotal', description: 'Sums over the run' })

export const runDetailSchema = runSchema
  .extend({
    ticketKey: z.string(),
    steps: z.array(stepSchema).readonly(),
    openWaits: z.array(waitSchema).readonly(),
    sandboxes: z.array(sandboxSchema).readonly(),
    usage: usageSchema,
  })
  .meta({ id: 'RunDetail' })
export type RunDetailBody = z.output<typeof runDetailSchema>

export const runPageSchema = z
  .object({ items: z.array(runSchema).readonly(), nextCursor: z.string().nullable() })
  .meta({ id: 'RunPage' })

export const listRunsQuery = z.strictObject({
  ticket: ticketRefSchema.optional(),
  status: commaListSchema(runStatusSchema).optional(),
  cursor: cursorSchema.optional(),
  limit: pageCountSchema,
})

export const runParams = z.strictObject({ runId: idSchema('run') })

/** Which of a run's open waits is meant; needed only when there are several of its kind. */
const waitChoice = { waitId: idSchema('wait').optional() }
export const approveRunBody = z
  .strictObject({ ...waitChoice, comment: textSchema(10_000).optional() })
  .meta({ id: 'ApproveRun' })
export const rejectRunBody = z
  .strictObject({ ...waitChoice, comment: textSchema(10_000).optional() })
  .meta({ id: 'RejectRun' })
export const answerRunBody = z
  .strictObject({ ...waitChoice, answer: textSchema(100_000, 1) })
  .meta({ id: 'AnswerRun' })

export const sendSignalBody = z
  .strictObject({
    name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/),
    payload: jsonObjectSchema.optional(),
  })
  .meta({ id: 'SendSignal' })
export const signalSchema = z
  .object({
    id: idSchema('signal'),
    runId: idSchema('run'),
    name: z.string(),
    payload: jsonObjectSchema,
    createdAt: instantSchema,
    consumedAt: instantSchema.nullable(),
  })
  .meta({ id: 'Signal' })

// ---------------------------------------------------------------- outside agents

const holderSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,99}$/)
  .meta({ description: 'Name the agent gives itself; the same in every call of one run' })
const leaseTtlSchema = z
  .number()
  .int()
  .min(5_000)
  .max(3_600_000)
  .default(60_000)
  .meta({ description: 'Time until the lease passes without a heartbeat, `ms`' })

export const claimTicketBody = z
  .strictObject({ holder: holderSchema, leaseTtlMs: leaseTtlSchema })
  .meta({ id: 'ClaimTicket' })
export const claimNextTicketBody = z
  .strictObject({
    holder: holderSchema,
    leaseTtlMs: leaseTtlSchema,
    project: z.string().min(1).max(40).optional(),
    labels: z.array(textSchema(100, 1)).max(50).optional().meta({ description: 'All of them' }),
    types: z.array(textSchema(50, 1)).max(50).optional().meta({ description: 'One of them' }),
  })
  .meta({ id: 'ClaimNextTicket' })

export const leaseSchema = z
  .object({
    holder: z.string(),
    epoch: z
      .number()
      .int()
      .meta({ description: 'Goes into every call of this run; an old one changes nothing' }),
    expiresAt: instantSchema.nullable(),
    isCancelRequested: z.boolean().meta({ description: 'Someone asked for the end: stop and release' }),
  })
  .meta({ id: 'Lease' })
export const claimSchema = z
  .object({ ticket: ticketSchema, run: runSchema, lease: leaseSchema })
  .meta({ id: 'Claim' })

/** Largest outputs of a run, as JSON; the same for an agent in a sandbox, bytes */
const OUTPUT_BYTES_MAX = 1024 * 1024
/** Largest `data` of a milestone, as JSON, bytes */
const PROGRESS_BYTES_MAX = 64 * 1024

function smallObjectSchema(bytesMax: number) {
  const tooLarge = `may have ${bytesMax} bytes as JSON; keep large things elsewhere and name the place`
  return jsonObjectSchema
    .refine((value) => new TextEncoder().encode(JSON.stringify(value)).length <= bytesMax, tooLarge)
    .meta({ description: `Any JSON object of at most ${bytesMax} bytes` })
}

const outputsSchema = smallObjectSchema(OUTPUT_BYTES_MAX)
const proof = { holder: holderSchema, epoch: z.number().int().min(1) }
export const heartbeatRunBody = z
  .strictObject({ ...proof, leaseTtlMs: leaseTtlSchema })
  .meta({ id: 'HeartbeatRun' })
export const progressRunBody = z
  .strictObject({
    ...proof,
    message: textSchema(10_000, 1),
    percent: z.number().min(0).max(100).optional(),
    data: smallObjectSchema(PROGRESS_BYTES_MAX).optional(),
  })
  .meta({ id: 'ProgressRun' })
export const completeRunBody = z
  .strictObject({ ...proof, outputs: outputsSchema.optional() })
  .meta({ id: 'CompleteRun' })
export const failRunBody = z
  .strictObject({
    ...proof,
    reason: reasonSchema.default('agent_failed'),
    detail: textSchema(10_000, 1),
    outputs: outputsSchema.optional(),
    isFinal: z.boolean().default(false).meta({ description: 'No further run, whatever the reason allows' }),
  })
  .meta({ id: 'FailRun' })
export const releaseRunBody = z
  .strictObject({ ...proof, detail: textSchema(2000).optional() })
  .meta({ id: 'ReleaseRun' })
export const releasedRunSchema = z
  .object({ runId: idSchema('run'), ticketId: idSchema('ticket') })
  .meta({ id: 'ReleasedRun' })
export const finishedRunSchema = z
  .object({ run: runSchema, ticket: ticketSchema })
  .meta({ id: 'FinishedRun' })

// ---------------------------------------------------------------- logs and artifacts

export const attemptLogSchema = z
  .object({
    stepKey: z.string(),
    attempt: z.number().int(),
    byteCount: z.number().int(),
    isTruncated: z.boolean().meta({ description: 'The bound was reached; later output was dropped' }),
    isClosed: z.boolean().meta({ description: 'No more output will come' }),
  })
  .meta({ id: 'AttemptLog' })
export const attemptLogListSchema = z
  .object({ items: z.array(attemptLogSchema).readonly() })
  .meta({ id: 'AttemptLogList' })

export const logParams = runParams.extend({
  stepKey: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,99}(\[\d{1,6}\])?$/),
  attempt: z.coerce.number().int().min(1).max(1_000_000),
})
export const readLogQuery = z.strictObject({
  offset: z.coerce.number().int().min(0).optional().meta({ description: 'First byte wanted' }),
  tail: z.coerce.number().int().min(0).optional().meta({ description: 'That many bytes before the end' }),
  bytes: z.coerce.number().int().min(1).optional().meta({ description: 'Bytes at most' }),
  follow: flagSchema.optional().meta({ description: 'Go on until the log is closed' }),
  format: z.enum(['text', 'ndjson']).optional().meta({ description: 'Else by `Accept`; `text` by default' }),
})

/** One line of a log as NDJSON. Bytes that are no UTF-8 come as base64. */
export const logLineSchema = z
  .object({
    offset: z.number().int().meta({ description: 'Of the first byte, all streams together' }),
    at: instantSchema,
    stream: z.enum(['stdout', 'stderr', 'system']),
    encoding: z.enum(['utf8', 'base64']),
    data: z.string(),
    byteCount: z.number().int(),
  })
  .meta({ id: 'LogLine' })
export type LogLine = z.output<typeof logLineSchema>

export const artifactSchema = z
  .object({
    id: idSchema('artifact'),
    stepInstanceId: idSchema('step'),
    attempt: z.number().int(),
    name: z.string(),
    byteCount: z.number().int(),
    sha256: z.string(),
    createdAt: instantSchema,
  })
  .meta({ id: 'Artifact' })
export const artifactListSchema = z
  .object({ items: z.array(artifactSchema).readonly() })
  .meta({ id: 'ArtifactList' })
