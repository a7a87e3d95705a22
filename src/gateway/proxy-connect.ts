import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { dialTcp } from '../platform/http-upstream.ts'
import { parseTarget } from '../platform/network-address.ts'
import { admitTarget } from './admit-target.ts'
import type { DoorContext } from './door-context.ts'
import type { Exchange } from './exchange.ts'
import { countFlow, watchIdle } from './flow.ts'
import type { Refusal } from './refusal.ts'
import { toUpstreamRefusal } from './upstream-refusal.ts'

/**
 * Opens a tunnel for a CONNECT request and stays until it ends. What goes through is the client's own TLS; the
 * gateway sees the name and the number of bytes.
 * @returns why it was refused, or `null` when the tunnel was opened
 */
export async function proxyConnect(
  door: DoorContext,
  exchange: Exchange,
  client: { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer },
): Promise<Refusal | null> {
  const target = parseTarget(client.request.url ?? '')
  if (target === undefined) {
    return { reason: 'target_invalid', via: 'connect', message: 'CONNECT names a host and a port' }
  }
  const admitted = await admitTarget(door, exchange, target)
  if (admitted.kind === 'refused') return admitted.refusal

  let server: Awaited<ReturnType<typeof dialTcp>>
  try {
    server = await dialTcp({
      ...target,
      addresses: admitted.addresses,
      connectTimeoutMs: door.limits.connectTimeoutMs,
      signal: exchange.signal,
    })
  } catch (error) {
    return toUpstreamRefusal(exchange, error, `${target.host}:${target.port}`)
  }

  const { socket, head } = client
  const idle = watchIdle(exchange, door.limits.idleTimeoutMs)
  const flow = (count: 'requestBytes' | 'responseBytes') =>
    countFlow(exchange, {
      count,
      bytesMax: door.limits.responseBytesMax,
      tooMany: count === 'requestBytes' ? 'request_too_large' : 'response_too_large',
      onBytes: idle.touch,
    })
  exchange.status = 200
  if (head.length > 0) socket.unshift(head)
  socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
  try {
    await Promise.all([
      pipeline(socket, flow('requestBytes'), server, { signal: exchange.signal }),
      pipeline(server, flow('responseBytes'), socket, { signal: exchange.signal }),
    ])
  } catch {
    // Either side may hang up at any time; why we did, when we did, is in the exchange.
  } finally {
    idle.stop()
    server.destroy()
    socket.destroy()
  }
  return null
}
