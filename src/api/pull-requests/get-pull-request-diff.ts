import { getPullRequestDiffSpec } from '../../rest-schema/operations/pull-requests.ts'
import type { Store } from '../../store/contract.ts'
import { getPullRequest } from '../find-by-ref.ts'
import { operation } from '../operation.ts'

export function getPullRequestDiff({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(getPullRequestDiffSpec, async ({ params }) => {
    const { diff, isDiffTruncated } = await getPullRequest(store.read, params.pullRequestId)
    const headers = {
      'content-type': 'text/x-diff; charset=utf-8',
      'x-diff-truncated': String(isDiffTruncated),
    }
    return new Response(diff, { headers })
  })
}
