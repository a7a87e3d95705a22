import type { Token } from '../../domain/records.ts'
import type { TokenBody } from '../../rest-schema/token.ts'
import { toInstant, toInstantOrNull } from '../instant.ts'

/** The token as the API shows it: nobody has its secret any more. */
export function toTokenBody(token: Token): TokenBody {
  return {
    id: token.id,
    name: token.name,
    scopes: token.scopes,
    runId: token.runId,
    createdAt: toInstant(token.createdAt),
    expiresAt: toInstantOrNull(token.expiresAt),
    revokedAt: toInstantOrNull(token.revokedAt),
    lastUsedAt: toInstantOrNull(token.lastUsedAt),
  }
}
