import { listArtifactsSpec } from '../../rest-schema/operations/runs.ts'
import type { Store } from '../../store/contract.ts'
import { getRun } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toArtifactBody } from '../run-body.ts'

export function listArtifacts({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(listArtifactsSpec, async ({ params: { runId } }) => {
    await getRun(store.read, runId)
    const artifacts = await store.read.listArtifacts(runId)
    return { status: 200, body: { items: artifacts.map(toArtifactBody) } }
  })
}
