import { registerAgentSpec } from '../../rest-schema/operations/registry.ts'
import { operation } from '../operation.ts'
import { getRegistry } from './get-registry.ts'
import { toAgentBody } from './registry-body.ts'
import type { ApiRegistry } from './registry-port.ts'

export function registerAgent({ registry }: { readonly registry: ApiRegistry | undefined }) {
  return operation(registerAgentSpec, async ({ body, caller }) => {
    const agent = await getRegistry(registry).registerAgent({ path: body.path, actor: caller.actor })
    return { status: 201, body: toAgentBody(agent) }
  })
}
