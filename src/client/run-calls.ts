import type { BodyInputOf } from '../rest-schema/operation.ts'
import {
  answerRunSpec,
  approveRunSpec,
  cancelRunSpec,
  completeRunSpec,
  downloadArtifactSpec,
  failRunSpec,
  getRunSpec,
  heartbeatRunSpec,
  listArtifactsSpec,
  listLogsSpec,
  listRunsSpec,
  progressRunSpec,
  readLogSpec,
  rejectRunSpec,
  releaseRunSpec,
  sendSignalSpec,
} from '../rest-schema/operations/runs.ts'
import { type CallOptions, call, open, type Transport } from './call.ts'
import { type FollowLogOptions, followLog, type LogRef } from './follow-log.ts'

export type RunQuery = {
  readonly ticket?: string
  readonly status?: readonly string[]
  readonly cursor?: string
  readonly limit?: number
}

export type ReadLogOptions = CallOptions & {
  readonly offset?: number
  readonly tail?: number
  readonly bytes?: number
}

export function createRunCalls(transport: Transport) {
  return {
    list: (query: RunQuery = {}, options: CallOptions = {}) =>
      call(transport, listRunsSpec, { ...options, query }),
    get: (runId: string, options: CallOptions = {}) =>
      call(transport, getRunSpec, { ...options, params: { runId } }),
    cancel: (runId: string, options: CallOptions = {}) =>
      call(transport, cancelRunSpec, { ...options, params: { runId } }),
    approve: (runId: string, body: BodyInputOf<typeof approveRunSpec> = {}, options: CallOptions = {}) =>
      call(transport, approveRunSpec, { ...options, params: { runId }, body }),
    reject: (runId: string, body: BodyInputOf<typeof rejectRunSpec> = {}, options: CallOptions = {}) =>
      call(transport, rejectRunSpec, { ...options, params: { runId }, body }),
    answer: (runId: string, body: BodyInputOf<typeof answerRunSpec>, options: CallOptions = {}) =>
      call(transport, answerRunSpec, { ...options, params: { runId }, body }),
    sendSignal: (runId: string, body: BodyInputOf<typeof sendSignalSpec>, options: CallOptions = {}) =>
      call(transport, sendSignalSpec, { ...options, params: { runId }, body }),
    listLogs: (runId: string, options: CallOptions = {}) =>
      call(transport, listLogsSpec, { ...options, params: { runId } }),
    /** The output so far, as bytes; the caller reads or cancels the stream. */
    readLog: async (ref: LogRef, options: ReadLogOptions = {}) => {
      const { offset, tail, bytes, ...rest } = options
      const query = { offset, tail, bytes }
      const response = await open(transport, readLogSpec, {
        ...rest,
        params: ref,
        query,
        accept: 'text/plain',
      })
      return response.body ?? new ReadableStream<Uint8Array>({ start: (controller) => controller.close() })
    },
    /** The output while it grows, over broken connections too. */
    followLog: (ref: LogRef, options: FollowLogOptions = {}) => followLog(transport, ref, options),
    listArtifacts: (runId: string, options: CallOptions = {}) =>
      call(transport, listArtifactsSpec, { ...options, params: { runId } }),
    /** The bytes of an artifact; the caller reads or cancels the stream. */
    downloadArtifact: async (runId: string, artifactId: string, options: CallOptions = {}) => {
      const input = { ...options, params: { runId, artifactId }, accept: 'application/octet-stream' }
      const response = await open(transport, downloadArtifactSpec, input)
      return response.body ?? new ReadableStream<Uint8Array>({ start: (controller) => controller.close() })
    },

    heartbeat: (runId: string, body: BodyInputOf<typeof heartbeatRunSpec>, options: CallOptions = {}) =>
      call(transport, heartbeatRunSpec, { ...options, params: { runId }, body }),
    progress: (runId: string, body: BodyInputOf<typeof progressRunSpec>, options: CallOptions = {}) =>
      call(transport, progressRunSpec, { ...options, params: { runId }, body }),
    complete: (runId: string, body: BodyInputOf<typeof completeRunSpec>, options: CallOptions = {}) =>
      call(transport, completeRunSpec, { ...options, params: { runId }, body }),
    fail: (runId: string, body: BodyInputOf<typeof failRunSpec>, options: CallOptions = {}) =>
      call(transport, failRunSpec, { ...options, params: { runId }, body }),
    release: (runId: string, body: BodyInputOf<typeof releaseRunSpec>, options: CallOptions = {}) =>
      call(transport, releaseRunSpec, { ...options, params: { runId }, body }),
  }
}
