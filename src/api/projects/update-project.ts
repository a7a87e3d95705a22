import { updateProjectSpec } from '../../rest-schema/operations/projects.ts'
import type { Store } from '../../store/contract.ts'
import { getProject } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toProjectBody } from '../project-body.ts'
import { withoutUndefined } from '../without-undefined.ts'

export function updateProject({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(updateProjectSpec, async ({ params, body, caller, write, expectedVersion }) => {
    const { id: projectId } = await getProject(store.read, params.key)
    const project = await write.updateProject({
      projectId,
      changes: withoutUndefined(body),
      actor: caller.actor,
      ...(expectedVersion === undefined ? {} : { expectedVersion }),
    })
    return { status: 200, body: toProjectBody(project), version: project.version }
  })
}
