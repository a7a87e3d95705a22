import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { DenialReason } from './contract.ts'

/** Header by which an agent tells the gateway's refusals from a server's answers. */
export const REFUSAL_HEADER = 'x-swarm-refusal'

const STATUS: Readonly<Record<DenialReason, number>> = {
  token_missing: 401,
  token_wrong: 401,
  token_expired: 401,
  target_invalid: 400,
  host_not_allowed: 403,
  address_refused: 403,
  resolve_failed: 502,
  connect_failed: 502,
  model_unknown: 403,
  model_route_unknown: 404,
  model_key_missing: 403,
  placeholder_misused: 403,
  rate_limited: 429,
  too_many_requests_at_once: 429,
  request_too_large: 413,
  response_too_large: 502,
  request_invalid: 400,
  budget_spent: 403,
  timed_out: 504,
  upstream_failed: 502,
  closed: 503,
}

export type Refusal = {
  readonly reason: DenialReason
  readonly via: 'http' | 'connect' | 'model'
  readonly message: string
  readonly retryAfterMs?: number
}

/** Answers in a shape that clients of both model protocols read; drops the connection when it is too late. */
export function refuse(response: ServerResponse, refusal: Refusal): void {
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  const { status, headers, body } = toAnswer(refusal)
  response.writeHead(status, headers)
  response.end(body)
}

/** The same on the raw socket of a CONNECT request. */
export function refuseTunnel(socket: Duplex, refusal: Refusal): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const { status, headers, body } = toAnswer(refusal)
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  const text = [`HTTP/1.1 ${status} Refused`, ...lines, '', body].join('\r\n')
  socket.end(text, () => socket.destroy())
}

/** What the reason is answered with, for events. */
export function statusOf(refusal: Pick<Refusal, 'reason' | 'via'>): number {
  const status = STATUS[refusal.reason]
  return status === 401 && refusal.via !== 'model' ? 407 : status
}

function toAnswer(refusal: Refusal): { status: number; headers: Record<string, string>; body: string } {
  const status = statusOf(refusal)
  const body = JSON.stringify({
    type: 'error',
    error: { type: `swarm_${refusal.reason}`, message: refusal.message },
  })
  return {
    status,
    body,
    headers: {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
      connection: 'close',
      [REFUSAL_HEADER]: refusal.reason,
      ...(status === 407 ? { 'proxy-authenticate': 'Basic realm="swarm"' } : {}),
      ...(refusal.retryAfterMs === undefined
        ? {}
        : { 'retry-after': String(Math.max(1, Math.ceil(refusal.retryAfterMs / 1_000))) }),
    },
  }
}
