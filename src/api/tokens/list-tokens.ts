import { listTokensSpec } from '../../rest-schema/operations/tokens.ts'
import type { Store } from '../../store/contract.ts'
import { operation } from '../operation.ts'
import { toTokenBody } from './token-body.ts'

export function listTokens({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(listTokensSpec, async () => {
    const tokens = await store.read.listTokens()
    return { status: 200, body: { items: tokens.map(toTokenBody) } }
  })
}
