import { ConnectFailedError } from '../platform/http-upstream.ts'
import type { Exchange } from './exchange.ts'
import type { Refusal } from './refusal.ts'

/** What to answer when the other side failed or the exchange was ended; the cause stays on the host. */
export function toUpstreamRefusal(exchange: Exchange, error: unknown, name: string): Refusal {
  const via = exchange.via
  if (exchange.denied !== null) {
    return { reason: exchange.denied, via, message: `the request to ${name} was ended: ${exchange.denied}` }
  }
  return error instanceof ConnectFailedError
    ? { reason: 'connect_failed', via, message: `cannot reach ${name}` }
    : { reason: 'upstream_failed', via, message: `${name} failed before its answer was complete` }
}
