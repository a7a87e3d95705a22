import { getPullRequestSpec } from '../../rest-schema/operations/pull-requests.ts'
import type { Store } from '../../store/contract.ts'
import { getPullRequest as findById } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toPullRequestBody } from '../pull-request-body.ts'

export function getPullRequest({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(getPullRequestSpec, async ({ params }) => {
    const pullRequest = await findById(store.read, params.pullRequestId)
    return { status: 200, body: toPullRequestBody(pullRequest) }
  })
}
