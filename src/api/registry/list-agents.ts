import { listAgentsSpec } from '../../rest-schema/operations/registry.ts'
import type { Store } from '../../store/contract.ts'
import { operation } from '../operation.ts'
import { toAgentBody } from './registry-body.ts'

export function listAgents({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(listAgentsSpec, async () => {
    const agents = await store.read.listAgents()
    return { status: 200, body: { items: agents.map(toAgentBody) } }
  })
}
