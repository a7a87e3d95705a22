import { validateAgentSpec } from '../../rest-schema/operations/registry.ts'
import { operation } from '../operation.ts'
import { getRegistry } from './get-registry.ts'
import type { ApiRegistry } from './registry-port.ts'

export function validateAgent({ registry }: { readonly registry: ApiRegistry | undefined }) {
  return operation(validateAgentSpec, async ({ body }) => {
    const problems = await getRegistry(registry).checkAgent({ path: body.path })
    return { status: 200, body: { isValid: problems.length === 0, problems } }
  })
}
