import { defineOperation } from '../operation.ts'
import {
  answerRunBody,
  approveRunBody,
  artifactListSchema,
  attemptLogListSchema,
  completeRunBody,
  failRunBody,
  finishedRunSchema,
  heartbeatRunBody,
  leaseSchema,
  listRunsQuery,
  logParams,
  progressRunBody,
  readLogQuery,
  rejectRunBody,
  releasedRunSchema,
  releaseRunBody,
  runDetailSchema,
  runPageSchema,
  runParams,
  runSchema,
  sendSignalBody,
  signalSchema,
  waitSchema,
} from '../run.ts'
import { idSchema } from '../text.ts'

const tag = 'runs'
const outside = 'outside agents'

export const listRunsSpec = defineOperation({
  id: 'listRuns',
  method: 'get',
  path: '/v1/runs',
  tag,
  summary: 'List runs',
  scope: 'read',
  query: listRunsQuery,
  answer: { kind: 'json', statuses: [200], schema: runPageSchema },
})

export const getRunSpec = defineOperation({
  id: 'getRun',
  method: 'get',
  path: '/v1/runs/{runId}',
  tag,
  summary: 'Show a run with its steps, attempts and waits',
  scope: 'read',
  isRunDoor: true,
  params: runParams,
  answer: { kind: 'json', statuses: [200], schema: runDetailSchema },
})

export const cancelRunSpec = defineOperation({
  id: 'cancelRun',
  method: 'post',
  path: '/v1/runs/{runId}/cancel',
  tag,
  summary: 'Ask for the end of a run',
  scope: 'tickets',
  isIdempotent: true,
  params: runParams,
  answer: { kind: 'json', statuses: [200], schema: runSchema },
})

export const approveRunSpec = defineOperation({
  id: 'approveRun',
  method: 'post',
  path: '/v1/runs/{runId}/approve',
  tag,
  summary: 'Say yes to what a run asks',
  scope: 'review',
  isIdempotent: true,
  params: runParams,
  body: approveRunBody,
  answer: { kind: 'json', statuses: [200], schema: waitSchema },
})

export const rejectRunSpec = defineOperation({
  id: 'rejectRun',
  method: 'post',
  path: '/v1/runs/{runId}/reject',
  tag,
  summary: 'Say no to what a run asks',
  scope: 'review',
  isIdempotent: true,
  params: runParams,
  body: rejectRunBody,
  answer: { kind: 'json', statuses: [200], schema: waitSchema },
})

export const answerRunSpec = defineOperation({
  id: 'answerRun',
  method: 'post',
  path: '/v1/runs/{runId}/answer',
  tag,
  summary: 'Answer the question of a run',
  scope: 'review',
  isIdempotent: true,
  params: runParams,
  body: answerRunBody,
  answer: { kind: 'json', statuses: [200], schema: waitSchema },
})

export const sendSignalSpec = defineOperation({
  id: 'sendSignal',
  method: 'post',
  path: '/v1/runs/{runId}/signals',
  tag,
  summary: 'Send a signal; it is kept until a step waits for it',
  scope: 'tickets',
  isIdempotent: true,
  params: runParams,
  body: sendSignalBody,
  answer: { kind: 'json', statuses: [201], schema: signalSchema },
})

export const listLogsSpec = defineOperation({
  id: 'listLogs',
  method: 'get',
  path: '/v1/runs/{runId}/logs',
  tag,
  summary: 'List the logs of a run',
  scope: 'read',
  isRunDoor: true,
  params: runParams,
  answer: { kind: 'json', statuses: [200], schema: attemptLogListSchema },
})

export const readLogSpec = defineOperation({
  id: 'readLog',
  method: 'get',
  path: '/v1/runs/{runId}/logs/{stepKey}/{attempt}',
  tag,
  summary: 'Read or follow the output of one attempt',
  description:
    'Byte ranges: `offset` with `bytes`, `tail`, or the header `Range: bytes=…` (text only, answered with 206).',
  scope: 'read',
  isRunDoor: true,
  params: logParams,
  query: readLogQuery,
  answer: { kind: 'stream', statuses: [200, 206], contentTypes: ['text/plain', 'application/x-ndjson'] },
})

export const listArtifactsSpec = defineOperation({
  id: 'listArtifacts',
  method: 'get',
  path: '/v1/runs/{runId}/artifacts',
  tag,
  summary: 'List the files kept from a run',
  scope: 'read',
  isRunDoor: true,
  params: runParams,
  answer: { kind: 'json', statuses: [200], schema: artifactListSchema },
})

export const downloadArtifactSpec = defineOperation({
  id: 'downloadArtifact',
  method: 'get',
  path: '/v1/runs/{runId}/artifacts/{artifactId}',
  tag,
  summary: 'Download a file kept from a run',
  scope: 'read',
  isRunDoor: true,
  params: runParams.extend({ artifactId: idSchema('artifact') }),
  answer: { kind: 'stream', statuses: [200], contentTypes: ['application/octet-stream'] },
})

export const heartbeatRunSpec = defineOperation({
  id: 'heartbeatRun',
  method: 'post',
  path: '/v1/runs/{runId}/heartbeat',
  tag: outside,
  summary: 'Renew the lease',
  scope: 'claim',
  params: runParams,
  body: heartbeatRunBody,
  answer: { kind: 'json', statuses: [200], schema: leaseSchema },
})

export const progressRunSpec = defineOperation({
  id: 'progressRun',
  method: 'post',
  path: '/v1/runs/{runId}/progress',
  tag: outside,
  summary: 'Record a milestone',
  scope: 'claim',
  isIdempotent: true,
  params: runParams,
  body: progressRunBody,
  answer: { kind: 'json', statuses: [200], schema: leaseSchema },
})

export const completeRunSpec = defineOperation({
  id: 'completeRun',
  method: 'post',
  path: '/v1/runs/{runId}/complete',
  tag: outside,
  summary: 'Give the result; the ticket is done',
  scope: 'claim',
  isIdempotent: true,
  params: runParams,
  body: completeRunBody,
  answer: { kind: 'json', statuses: [200], schema: finishedRunSchema },
})

export const failRunSpec = defineOperation({
  id: 'failRun',
  method: 'post',
  path: '/v1/runs/{runId}/fail',
  tag: outside,
  summary: 'Give up; the ticket is tried again where its reason and its count of runs allow',
  scope: 'claim',
  isIdempotent: true,
  params: runParams,
  body: failRunBody,
  answer: { kind: 'json', statuses: [200], schema: finishedRunSchema },
})

export const releaseRunSpec = defineOperation({
  id: 'releaseRun',
  method: 'post',
  path: '/v1/runs/{runId}/release',
  tag: outside,
  summary: 'Give the ticket back untouched',
  scope: 'claim',
  isIdempotent: true,
  params: runParams,
  body: releaseRunBody,
  answer: { kind: 'json', statuses: [200], schema: releasedRunSchema },
})
