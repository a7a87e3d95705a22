import { requestChangesSpec } from '../../rest-schema/operations/pull-requests.ts'
import type { Store } from '../../store/contract.ts'
import { getPullRequest } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toPullRequestBody } from '../pull-request-body.ts'

export type RequestChangesDeps = { readonly store: Pick<Store, 'read'>; readonly control: { wake(): void } }

export function requestChanges({ store, control }: RequestChangesDeps) {
  return operation(requestChangesSpec, async ({ params: { pullRequestId }, body, caller, change }) => {
    await getPullRequest(store.read, pullRequestId)
    return await change(async (write) => {
      const pullRequest = await write.reviewPullRequest({
        pullRequestId,
        state: 'changes_requested',
        comment: body.comment,
        actor: caller.actor,
      })
      return { status: 200, body: toPullRequestBody(pullRequest), after: () => control.wake() }
    })
  })
}
