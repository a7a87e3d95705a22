import { getWorkflowSpec } from '../../rest-schema/operations/registry.ts'
import type { Store } from '../../store/contract.ts'
import { NotFoundError } from '../../store/errors.ts'
import { operation } from '../operation.ts'
import { withoutUndefined } from '../without-undefined.ts'
import { toWorkflowBody } from './registry-body.ts'

export function getWorkflow({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(getWorkflowSpec, async ({ params: { name }, query: { version } }) => {
    const workflow = await store.read.findWorkflow(withoutUndefined({ name, version }))
    if (workflow === undefined) {
      throw new NotFoundError('workflow', version === undefined ? name : `${name}@${version}`)
    }
    return { status: 200, body: toWorkflowBody(workflow) }
  })
}
