import { defineOperation } from '../operation.ts'
import { createdTokenSchema, createTokenBody, tokenListSchema, tokenParams, tokenSchema } from '../token.ts'

const tag = 'tokens'

export const createTokenSpec = defineOperation({
  id: 'createToken',
  method: 'post',
  path: '/v1/tokens',
  tag,
  summary: 'Create a token; its secret is shown this once',
  scope: 'admin',
  body: createTokenBody,
  answer: { kind: 'json', statuses: [201], schema: createdTokenSchema },
})

export const listTokensSpec = defineOperation({
  id: 'listTokens',
  method: 'get',
  path: '/v1/tokens',
  tag,
  summary: 'List tokens',
  scope: 'admin',
  answer: { kind: 'json', statuses: [200], schema: tokenListSchema },
})

export const revokeTokenSpec = defineOperation({
  id: 'revokeToken',
  method: 'post',
  path: '/v1/tokens/{tokenId}/revoke',
  tag,
  summary: 'Revoke a token at once',
  scope: 'admin',
  params: tokenParams,
  answer: { kind: 'json', statuses: [200], schema: tokenSchema },
})
