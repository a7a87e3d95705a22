import * as z from 'zod'
import { SCOPES } from '../domain/records.ts'
import { idSchema, instantSchema, textSchema } from './text.ts'

export const scopeSchema = z.enum(SCOPES)

export const tokenSchema = z
  .object({
    id: idSchema('token'),
    name: z.string(),
    scopes: z.array(scopeSchema).readonly(),
    runId: idSchema('run').nullable().meta({ description: 'The one run it opens' }),
    createdAt: instantSchema,
    expiresAt: instantSchema.nullable(),
    revokedAt: instantSchema.nullable(),
    lastUsedAt: instantSchema.nullable(),
  })
  .meta({ id: 'Token', description: 'A credential without its secret, which nobody keeps' })
export type TokenBody = z.output<typeof tokenSchema>

export const tokenListSchema = z.object({ items: z.array(tokenSchema).readonly() }).meta({ id: 'TokenList' })
export const createdTokenSchema = tokenSchema
  .extend({ secret: z.string().meta({ description: 'Shown this once' }) })
  .meta({ id: 'CreatedToken' })
export const createTokenBody = z
  .strictObject({
    name: textSchema(100, 1),
    scopes: z
      .array(z.enum(['read', 'tickets', 'claim', 'review', 'admin']))
      .min(1)
      .max(SCOPES.length),
    expiresAt: instantSchema.nullable().optional().meta({ description: 'Else it never expires' }),
  })
  .meta({ id: 'CreateToken' })
export const tokenParams = z.strictObject({ tokenId: idSchema('token') })
