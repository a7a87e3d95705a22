import { defineOperation } from '../operation.ts'
import {
  effectBody,
  effectOutcomeSchema,
  listPullRequestsQuery,
  pullRequestPageSchema,
  pullRequestParams,
  pullRequestSchema,
  requestChangesBody,
  reviewBody,
} from '../pull-request.ts'

const tag = 'pull requests'

export const listPullRequestsSpec = defineOperation({
  id: 'listPullRequests',
  method: 'get',
  path: '/v1/pull-requests',
  tag,
  summary: 'List pull requests',
  scope: 'read',
  query: listPullRequestsQuery,
  answer: { kind: 'json', statuses: [200], schema: pullRequestPageSchema },
})

export const getPullRequestSpec = defineOperation({
  id: 'getPullRequest',
  method: 'get',
  path: '/v1/pull-requests/{pullRequestId}',
  tag,
  summary: 'Show a pull request',
  scope: 'read',
  params: pullRequestParams,
  answer: { kind: 'json', statuses: [200], schema: pullRequestSchema },
})

export const getPullRequestDiffSpec = defineOperation({
  id: 'getPullRequestDiff',
  method: 'get',
  path: '/v1/pull-requests/{pullRequestId}/diff',
  tag,
  summary: 'Show the unified diff of a pull request',
  scope: 'read',
  params: pullRequestParams,
  answer: { kind: 'stream', statuses: [200], contentTypes: ['text/x-diff'] },
})

export const approvePullRequestSpec = defineOperation({
  id: 'approvePullRequest',
  method: 'post',
  path: '/v1/pull-requests/{pullRequestId}/approve',
  tag,
  summary: 'Approve a pull request',
  scope: 'review',
  isIdempotent: true,
  params: pullRequestParams,
  body: reviewBody,
  answer: { kind: 'json', statuses: [200], schema: pullRequestSchema },
})

export const requestChangesSpec = defineOperation({
  id: 'requestChanges',
  method: 'post',
  path: '/v1/pull-requests/{pullRequestId}/request-changes',
  tag,
  summary: 'Ask for changes: a further run on the same branch begins',
  scope: 'review',
  isIdempotent: true,
  params: pullRequestParams,
  body: requestChangesBody,
  answer: { kind: 'json', statuses: [200], schema: pullRequestSchema },
})

export const mergePullRequestSpec = defineOperation({
  id: 'mergePullRequest',
  method: 'post',
  path: '/v1/pull-requests/{pullRequestId}/merge',
  tag,
  summary: 'Merge a pull request on its forge',
  description: 'Asked twice, it is merged once. 202 when the forge did not answer in time; ask again to see.',
  scope: 'review',
  params: pullRequestParams,
  body: effectBody,
  answer: { kind: 'json', statuses: [200, 202], schema: effectOutcomeSchema },
})

export const closePullRequestSpec = defineOperation({
  id: 'closePullRequest',
  method: 'post',
  path: '/v1/pull-requests/{pullRequestId}/close',
  tag,
  summary: 'Close a pull request without merging',
  scope: 'review',
  params: pullRequestParams,
  body: effectBody,
  answer: { kind: 'json', statuses: [200, 202], schema: effectOutcomeSchema },
})
