import { validateWorkflowSpec } from '../../rest-schema/operations/registry.ts'
import { operation } from '../operation.ts'
import { getRegistry } from './get-registry.ts'
import type { ApiRegistry } from './registry-port.ts'

export function validateWorkflow({ registry }: { readonly registry: ApiRegistry | undefined }) {
  return operation(validateWorkflowSpec, async ({ body }) => {
    const problems = await getRegistry(registry).checkWorkflow({ text: body.text })
    return { status: 200, body: { isValid: problems.length === 0, problems } }
  })
}
