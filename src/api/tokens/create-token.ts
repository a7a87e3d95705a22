import { createTokenSpec } from '../../rest-schema/operations/tokens.ts'
import type { Store } from '../../store/contract.ts'
import { hashSecret } from '../authenticate.ts'
import { operation } from '../operation.ts'
import { ApiProblem } from '../problem.ts'
import { toTokenBody } from './token-body.ts'

export type CreateTokenDeps = {
  readonly store: Pick<Store, 'now'>
  readonly randomBytes: (count: number) => Uint8Array
}

const SECRET_BYTES = 32

/** Not repeatable by key: the answer holds a secret, and answers that can be repeated are kept. */
export function createToken({ store, randomBytes }: CreateTokenDeps) {
  return operation(createTokenSpec, async ({ body, caller, write }) => {
    const expiresAt = body.expiresAt == null ? null : Date.parse(body.expiresAt)
    if (expiresAt !== null && expiresAt <= store.now()) {
      throw new ApiProblem(422, 'invalid_request', 'expiresAt lies in the past', {
        errors: [{ in: 'body', pointer: '/expiresAt', message: 'lies in the past' }],
      })
    }
    const secret = `swm_${Buffer.from(randomBytes(SECRET_BYTES)).toString('base64url')}`
    const token = await write.createToken({
      name: body.name,
      scopes: [...new Set(body.scopes)],
      expiresAt,
      secretHash: hashSecret(secret),
      actor: caller.actor,
    })
    return { status: 201, body: { ...toTokenBody(token), secret } }
  })
}
