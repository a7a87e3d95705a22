import { listProjectsSpec } from '../../rest-schema/operations/projects.ts'
import type { Store } from '../../store/contract.ts'
import { operation } from '../operation.ts'
import { toProjectBody } from '../project-body.ts'

export function listProjects({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(listProjectsSpec, async () => {
    const projects = await store.read.listProjects()
    return { status: 200, body: { items: projects.map(toProjectBody) } }
  })
}
