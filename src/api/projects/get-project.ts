import { getProjectSpec } from '../../rest-schema/operations/projects.ts'
import type { Store } from '../../store/contract.ts'
import { getProject as findByRef } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toProjectBody } from '../project-body.ts'

export function getProject({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(getProjectSpec, async ({ params }) => {
    const project = await findByRef(store.read, params.key)
    return { status: 200, body: toProjectBody(project), version: project.version }
  })
}
