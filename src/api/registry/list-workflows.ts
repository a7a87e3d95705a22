import { listWorkflowsSpec } from '../../rest-schema/operations/registry.ts'
import type { Store } from '../../store/contract.ts'
import { operation } from '../operation.ts'
import { toWorkflowBody } from './registry-body.ts'

export function listWorkflows({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(listWorkflowsSpec, async () => {
    const workflows = await store.read.listWorkflows()
    return { status: 200, body: { items: workflows.map(toWorkflowBody) } }
  })
}
