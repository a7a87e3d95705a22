import { createHash } from 'node:crypto'
import type { Token } from '../domain/records.ts'
import type { StoreReader, StoreWriter } from '../store/contract.ts'
import { type Caller, OWNER } from './caller.ts'
import { createFailureLimit } from './failure-limit.ts'
import { ApiProblem } from './problem.ts'

/** Who is at the other end of the connection. */
export type Peer = { readonly kind: 'unix' } | { readonly kind: 'tcp'; readonly address: string }

export type AuthenticateDeps = {
  readonly read: Pick<StoreReader, 'findTokenByHash'>
  readonly write: Pick<StoreWriter, 'touchToken'>
  readonly now: () => number
  readonly onTrouble: (error: unknown) => void
}

const SECRET = /^swm_[A-Za-z0-9_-]{20,200}$/
const TOUCH_INTERVAL_MS = 60_000

/** SHA-256 of a token's secret, hexadecimal: all that is ever kept of it. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

/**
 * Finds out who asks. Only the header `Authorization: Bearer` counts, never a query: addresses end up in logs.
 * A token that is given counts even on the unix socket, where none is needed.
 * @returns a function that throws ApiProblem 401, or 429 after too many failures of one address
 */
export function createAuthenticate({ read, write, now, onTrouble }: AuthenticateDeps) {
  const limit = createFailureLimit(now)
  /** Hashes that were good once in this process: they are looked up even while their address is held back */
  const known = new Set<string>()

  return async function authenticate(request: Request, peer: Peer): Promise<Caller> {
    const header = request.headers.get('authorization')
    if (header === null && peer.kind === 'unix') return OWNER
    const address = peer.kind === 'unix' ? 'unix' : peer.address
    const secret = readBearer(header)
    const hash = secret === undefined ? undefined : hashSecret(secret)
    if (hash === undefined || !known.has(hash)) limit.check(address)
    const token = hash === undefined ? undefined : await read.findTokenByHash(hash)
    if (hash === undefined || token === undefined || !isAlive(token, now())) {
      if (hash !== undefined) known.delete(hash)
      limit.add(address)
      throw toRefusal(header, token, now())
    }
    known.add(hash)
    touch(token)
    return { actor: `token:${token.name}`, tokenId: token.id, scopes: token.scopes, runId: token.runId }
  }

  /** Keeps `lastUsedAt` roughly right without a write per request, and without making the request wait. */
  function touch(token: Token): void {
    if (token.lastUsedAt !== null && now() - token.lastUsedAt < TOUCH_INTERVAL_MS) return
    write.touchToken({ tokenId: token.id }).catch(onTrouble)
  }
}

function readBearer(header: string | null): string | undefined {
  const secret = /^Bearer +(\S+)$/i.exec(header ?? '')?.[1]
  return secret !== undefined && SECRET.test(secret) ? secret : undefined
}

function isAlive(token: Token, now: number): boolean {
  return token.revokedAt === null && (token.expiresAt === null || token.expiresAt > now)
}

function toRefusal(header: string | null, token: Token | undefined, now: number): ApiProblem {
  const headers = { 'www-authenticate': 'Bearer realm="swarm"' }
  if (header === null) {
    const hint = 'send Authorization: Bearer swm_…, or use the unix socket in the state directory'
    return new ApiProblem(401, 'token_missing', 'a token is needed', { hint, headers })
  }
  if (token !== undefined && token.revokedAt === null && token.expiresAt !== null && token.expiresAt <= now) {
    const hint = 'create another one: swarm token create'
    return new ApiProblem(401, 'token_expired', 'the token has expired', { hint, headers })
  }
  if (token !== undefined) {
    return new ApiProblem(401, 'token_revoked', 'the token was revoked', { headers })
  }
  return new ApiProblem(401, 'token_invalid', 'the token is not known', { headers })
}
