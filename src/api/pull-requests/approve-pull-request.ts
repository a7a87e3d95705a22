import { approvePullRequestSpec } from '../../rest-schema/operations/pull-requests.ts'
import type { Store } from '../../store/contract.ts'
import { getPullRequest } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toPullRequestBody } from '../pull-request-body.ts'

export function approvePullRequest({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(approvePullRequestSpec, async ({ params: { pullRequestId }, body, caller, change }) => {
    await getPullRequest(store.read, pullRequestId)
    return await change(async (write) => {
      const pullRequest = await write.reviewPullRequest({
        pullRequestId,
        state: 'approved',
        actor: caller.actor,
        ...(body.comment === undefined ? {} : { comment: body.comment }),
      })
      return { status: 200, body: toPullRequestBody(pullRequest) }
    })
  })
}
