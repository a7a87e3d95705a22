import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { DenialReason } from './contract.ts'

/** SHA-256 of a run token, hexadecimal; the only form of it that a door keeps. */
export function hashRunToken(token: string): string {
  return createHash('sha256').update(token, 'utf8').digest('hex')
}

export type TokenCheck = {
  readonly runTokenSha256: string
  readonly expiresAt: number
  readonly now: number
}

/** Why the token presented does not open the door, or `null`. Compared by hash, in constant time. */
export function checkRunToken(token: string | undefined, check: TokenCheck): DenialReason | null {
  if (token === undefined) return 'token_missing'
  const presented = Buffer.from(hashRunToken(token), 'hex')
  const expected = Buffer.from(check.runTokenSha256, 'hex')
  if (presented.length !== expected.length || !timingSafeEqual(presented, expected)) return 'token_wrong'
  return check.now >= check.expiresAt ? 'token_expired' : null
}

/** The token of a proxy request: `Proxy-Authorization`, Basic (as password) or Bearer. */
export function findProxyToken(headers: IncomingHttpHeaders): string | undefined {
  const [scheme, credentials] = splitAuthorization(headers['proxy-authorization'])
  if (scheme === 'bearer') return credentials
  if (scheme !== 'basic' || credentials === undefined) return undefined
  const pair = Buffer.from(credentials, 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  return colon === -1 ? undefined : pair.slice(colon + 1)
}

/** The token of a model request: where the provider's key would be, or as for a proxy request. */
export function findModelToken(headers: IncomingHttpHeaders): string | undefined {
  const key = headers['x-api-key']
  if (typeof key === 'string') return key
  const [scheme, credentials] = splitAuthorization(headers.authorization)
  return scheme === 'bearer' ? credentials : findProxyToken(headers)
}

function splitAuthorization(value: string | undefined): [string | undefined, string | undefined] {
  const parts = /^(\S+) +(\S+)$/.exec(value?.trim() ?? '')
  return [parts?.[1]?.toLowerCase(), parts?.[2]]
}
