import { registerWorkflowSpec } from '../../rest-schema/operations/registry.ts'
import { operation } from '../operation.ts'
import { getRegistry } from './get-registry.ts'
import { toWorkflowBody } from './registry-body.ts'
import type { ApiRegistry } from './registry-port.ts'

export function registerWorkflow({ registry }: { readonly registry: ApiRegistry | undefined }) {
  return operation(registerWorkflowSpec, async ({ body, caller }) => {
    const workflow = await getRegistry(registry).registerWorkflow({ text: body.text, actor: caller.actor })
    return { status: 201, body: toWorkflowBody(workflow) }
  })
}
