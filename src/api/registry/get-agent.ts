import { getAgentSpec } from '../../rest-schema/operations/registry.ts'
import type { Store } from '../../store/contract.ts'
import { NotFoundError } from '../../store/errors.ts'
import { operation } from '../operation.ts'
import { withoutUndefined } from '../without-undefined.ts'
import { toAgentBody } from './registry-body.ts'

export function getAgent({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(getAgentSpec, async ({ params: { name }, query: { version } }) => {
    const agent = await store.read.findAgent(withoutUndefined({ name, version }))
    if (agent === undefined)
      throw new NotFoundError('agent', version === undefined ? name : `${name}@${version}`)
    return { status: 200, body: toAgentBody(agent) }
  })
}
