import type { PullRequest } from '../domain/pull-request.ts'
import type { PullRequestBody } from '../rest-schema/pull-request.ts'
import { toInstant, toInstantOrNull } from './instant.ts'

/** The pull request as the API shows it: the diff, which may be long, has its own address. */
export function toPullRequestBody(pullRequest: PullRequest): PullRequestBody {
  const { diff: _diff, ...rest } = pullRequest
  return {
    ...rest,
    createdAt: toInstant(rest.createdAt),
    updatedAt: toInstant(rest.updatedAt),
    mergedAt: toInstantOrNull(rest.mergedAt),
  }
}
