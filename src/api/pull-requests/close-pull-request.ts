import { closePullRequestSpec } from '../../rest-schema/operations/pull-requests.ts'
import { operation } from '../operation.ts'
import { type AskForgeDeps, askForge } from './ask-forge.ts'

export function closePullRequest(deps: AskForgeDeps) {
  return operation(closePullRequestSpec, async ({ params: { pullRequestId }, body, caller, signal }) => {
    const request = { pullRequestId, kind: 'close_pull_request', end: 'closed' } as const
    return await askForge(deps, { ...request, waitMs: body.waitMs, actor: caller.actor, signal })
  })
}
