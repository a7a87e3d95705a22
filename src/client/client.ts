import type { BodyInputOf } from '../rest-schema/operation.ts'
import { listEventsSpec } from '../rest-schema/operations/events.ts'
import {
  checkLiveSpec,
  checkReadySpec,
  getHealthSpec,
  getMetricsSpec,
  getVersionSpec,
} from '../rest-schema/operations/health.ts'
import { collectGarbageSpec, createBackupSpec } from '../rest-schema/operations/maintenance.ts'
import {
  createProjectSpec,
  getProjectSpec,
  listProjectsSpec,
  updateProjectSpec,
} from '../rest-schema/operations/projects.ts'
import {
  approvePullRequestSpec,
  closePullRequestSpec,
  getPullRequestDiffSpec,
  getPullRequestSpec,
  listPullRequestsSpec,
  mergePullRequestSpec,
  requestChangesSpec,
} from '../rest-schema/operations/pull-requests.ts'
import {
  getAgentSpec,
  getWorkflowSpec,
  listAgentsSpec,
  listWorkflowsSpec,
  registerAgentSpec,
  registerWorkflowSpec,
  validateAgentSpec,
  validateWorkflowSpec,
} from '../rest-schema/operations/registry.ts'
import { createTokenSpec, listTokensSpec, revokeTokenSpec } from '../rest-schema/operations/tokens.ts'
import { listTrackersSpec } from '../rest-schema/operations/trackers.ts'
import { type CallOptions, call, type FetchLike, open, type Transport } from './call.ts'
import { createRunCalls } from './run-calls.ts'
import { createTicketCalls } from './ticket-calls.ts'
import { type WatchOptions, watchEvents } from './watch-events.ts'

export { ApiError, ConnectionError } from './api-error.ts'
export type { CallOptions, FetchLike } from './call.ts'
export { type FollowLogOptions, type LogRef, toLogBytes } from './follow-log.ts'
export { TicketFailed } from './ticket-failed.ts'
export type { WatchOptions } from './watch-events.ts'
export type { ClaimedTicket, TellProgress, Work } from './work-on-claim.ts'
export { type WorkNote, type WorkOnTicketsOptions, workOnTickets } from './work-on-tickets.ts'

export type ClientOptions = {
  /** `http://127.0.0.1:7377`; for a unix socket `http://localhost`, the socket is in `fetch` */
  readonly baseUrl: string
  readonly token?: string | undefined
  /** One that speaks over a unix socket, say; the platform's when nothing is said */
  readonly fetch?: FetchLike
  /** Longest time of one call that is not a stream, `ms`; 90 s when nothing is said */
  readonly timeoutMs?: number
}

export type SwarmClient = ReturnType<typeof createClient>

const TIMEOUT_MS = 90_000
/** A day: the longest that a timer of a call that may be slow is good for */
const LONG_TIMEOUT_MS = 24 * 60 * 60 * 1000

/** The typed client. Every method throws ApiError when the server says no, ConnectionError when it is silent. */
export function createClient(options: ClientOptions) {
  const transport: Transport = { fetch, timeoutMs: TIMEOUT_MS, ...options }
  return {
    tickets: createTicketCalls(transport),
    runs: createRunCalls(transport),
    projects: createProjectCalls(transport),
    pullRequests: createPullRequestCalls(transport),
    events: {
      list: (
        query: {
          after?: number
          ticket?: string
          run?: string
          type?: readonly string[]
          limit?: number
        } = {},
        options: CallOptions = {},
      ) => call(transport, listEventsSpec, { ...options, query }),
      watch: (options: WatchOptions = {}) => watchEvents(transport, options),
    },
    agents: createAgentCalls(transport),
    workflows: createWorkflowCalls(transport),
    tokens: {
      create: (body: BodyInputOf<typeof createTokenSpec>, options: CallOptions = {}) =>
        call(transport, createTokenSpec, { ...options, body }),
      list: (options: CallOptions = {}) => call(transport, listTokensSpec, options),
      revoke: (tokenId: string, options: CallOptions = {}) =>
        call(transport, revokeTokenSpec, { ...options, params: { tokenId } }),
    },
    /** Without a time limit of their own: they take as long as there is to do. */
    maintenance: {
      collectGarbage: (body: BodyInputOf<typeof collectGarbageSpec> = {}, options: CallOptions = {}) =>
        call({ ...transport, timeoutMs: LONG_TIMEOUT_MS }, collectGarbageSpec, { ...options, body }),
      backUp: (body: BodyInputOf<typeof createBackupSpec>, options: CallOptions = {}) =>
        call({ ...transport, timeoutMs: LONG_TIMEOUT_MS }, createBackupSpec, { ...options, body }),
    },
    trackers: {
      list: (options: CallOptions = {}) => call(transport, listTrackersSpec, options),
    },
    health: {
      live: (options: CallOptions = {}) => call(transport, checkLiveSpec, options),
      ready: (options: CallOptions = {}) => call(transport, checkReadySpec, options),
      get: (options: CallOptions = {}) => call(transport, getHealthSpec, options),
      metrics: async (options: CallOptions = {}) =>
        await (await open(transport, getMetricsSpec, { ...options, accept: 'text/plain' })).text(),
    },
    version: (options: CallOptions = {}) => call(transport, getVersionSpec, options),
  }
}

function createProjectCalls(transport: Transport) {
  return {
    create: (body: BodyInputOf<typeof createProjectSpec>, options: CallOptions = {}) =>
      call(transport, createProjectSpec, { ...options, body }),
    list: (options: CallOptions = {}) => call(transport, listProjectsSpec, options),
    get: (key: string, options: CallOptions = {}) =>
      call(transport, getProjectSpec, { ...options, params: { key } }),
    /** @param version of the project as it was read */
    update: (
      key: string,
      version: number,
      body: BodyInputOf<typeof updateProjectSpec>,
      options: CallOptions = {},
    ) => call(transport, updateProjectSpec, { ...options, params: { key }, body, ifMatch: `"${version}"` }),
  }
}

function createPullRequestCalls(transport: Transport) {
  return {
    list: (
      query: {
        project?: string
        ticket?: string
        status?: readonly string[]
        cursor?: string
        limit?: number
      } = {},
      options: CallOptions = {},
    ) => call(transport, listPullRequestsSpec, { ...options, query }),
    get: (pullRequestId: string, options: CallOptions = {}) =>
      call(transport, getPullRequestSpec, { ...options, params: { pullRequestId } }),
    diff: async (pullRequestId: string, options: CallOptions = {}) => {
      const input = { ...options, params: { pullRequestId }, accept: 'text/x-diff' }
      return await (await open(transport, getPullRequestDiffSpec, input)).text()
    },
    approve: (pullRequestId: string, body: { comment?: string } = {}, options: CallOptions = {}) =>
      call(transport, approvePullRequestSpec, { ...options, params: { pullRequestId }, body }),
    requestChanges: (pullRequestId: string, body: { comment: string }, options: CallOptions = {}) =>
      call(transport, requestChangesSpec, { ...options, params: { pullRequestId }, body }),
    merge: (pullRequestId: string, body: { waitMs?: number } = {}, options: CallOptions = {}) =>
      call(transport, mergePullRequestSpec, { ...options, params: { pullRequestId }, body }),
    close: (pullRequestId: string, body: { waitMs?: number } = {}, options: CallOptions = {}) =>
      call(transport, closePullRequestSpec, { ...options, params: { pullRequestId }, body }),
  }
}

function createAgentCalls(transport: Transport) {
  return {
    list: (options: CallOptions = {}) => call(transport, listAgentsSpec, options),
    get: (name: string, query: { version?: string } = {}, options: CallOptions = {}) =>
      call(transport, getAgentSpec, { ...options, params: { name }, query }),
    register: (body: { path: string }, options: CallOptions = {}) =>
      call(transport, registerAgentSpec, { ...options, body }),
    validate: (body: { path: string }, options: CallOptions = {}) =>
      call(transport, validateAgentSpec, { ...options, body }),
  }
}

function createWorkflowCalls(transport: Transport) {
  return {
    list: (options: CallOptions = {}) => call(transport, listWorkflowsSpec, options),
    get: (name: string, query: { version?: string } = {}, options: CallOptions = {}) =>
      call(transport, getWorkflowSpec, { ...options, params: { name }, query }),
    register: (body: { text: string }, options: CallOptions = {}) =>
      call(transport, registerWorkflowSpec, { ...options, body }),
    validate: (body: { text: string }, options: CallOptions = {}) =>
      call(transport, validateWorkflowSpec, { ...options, body }),
  }
}
