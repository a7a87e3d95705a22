import { mergePullRequestSpec } from '../../rest-schema/operations/pull-requests.ts'
import { operation } from '../operation.ts'
import { type AskForgeDeps, askForge } from './ask-forge.ts'

export function mergePullRequest(deps: AskForgeDeps) {
  return operation(mergePullRequestSpec, async ({ params: { pullRequestId }, body, caller, signal }) => {
    const request = { pullRequestId, kind: 'merge_pull_request', end: 'merged' } as const
    return await askForge(deps, { ...request, waitMs: body.waitMs, actor: caller.actor, signal })
  })
}
