import type { Peer } from './authenticate.ts'
import { ApiProblem } from './problem.ts'

const LOOPBACK_HOSTS = ['localhost', '127.0.0.1', '[::1]']

/**
 * Refuses what a web page could make a browser send: a name that was rebound to our address (`Host`), a page of
 * another origin (`Origin`). No browser reaches a unix socket.
 * @param allowedHosts host names without port, beside loopback
 */
export function guardRequest(request: Request, peer: Peer, allowedHosts: readonly string[]): void {
  const allowed = [...LOOPBACK_HOSTS, ...allowedHosts.map((host) => host.toLowerCase())]
  const isAllowed = (authority: string) => allowed.includes(authority.replace(/:\d{1,5}$/, '').toLowerCase())
  const host = request.headers.get('host') ?? new URL(request.url).host
  if (peer.kind === 'tcp' && !isAllowed(host)) {
    throw new ApiProblem(421, 'host_not_allowed', 'the coordinator does not answer under this host name', {
      hint: 'use 127.0.0.1 or localhost, or allow the name in the configuration',
    })
  }
  const origin = request.headers.get('origin')
  if (origin === null) return
  const parsed = URL.parse(origin)
  if (parsed === null || !isAllowed(parsed.host) || !['http:', 'https:'].includes(parsed.protocol)) {
    throw new ApiProblem(403, 'origin_not_allowed', 'pages of this origin may not call the API')
  }
}

/** What every answer carries. There is no CORS: no other origin may read anything. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}
