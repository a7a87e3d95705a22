import { revokeTokenSpec } from '../../rest-schema/operations/tokens.ts'
import type { Store } from '../../store/contract.ts'
import { NotFoundError } from '../../store/errors.ts'
import { operation } from '../operation.ts'
import { toTokenBody } from './token-body.ts'

/** May be repeated: a token that is revoked stays so. */
export function revokeToken({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(revokeTokenSpec, async ({ params: { tokenId }, caller, write }) => {
    const find = async () => (await store.read.listTokens()).find(({ id }) => id === tokenId)
    const token = await find()
    if (token === undefined) throw new NotFoundError('token', tokenId)
    if (token.revokedAt === null) await write.revokeToken({ tokenId, actor: caller.actor })
    return { status: 200, body: toTokenBody((await find()) ?? token) }
  })
}
