import { connect, createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { GuestConfig } from '../src/sandbox/guest-protocol-messages.ts'
import { mapPath } from './path-map.ts'
import { asSupervisor } from './workload-user.ts'

const CONNECTION_COUNT_MAX = 256

/**
 * The way out: a TCP port on loopback, relayed byte for byte to the gateway's socket, or through the control
 * connection where no socket can be bound. The gateway decides; this only carries.
 * @returns the port, `undefined` when this sandbox has no way out
 */
export async function openGateway(
  config: GuestConfig,
  { openTunnel }: { openTunnel: () => Duplex },
): Promise<number | undefined> {
  const { gateway } = config
  if (gateway === undefined) return undefined
  const server = createServer({ allowHalfOpen: true }, (client) => {
    try {
      carry(client, gateway.kind === 'tunnel' ? openTunnel() : connectSocket(config))
    } catch {
      // No controlling connection, too many streams: the client sees its connection closed.
      client.destroy()
    }
  })
  server.maxConnections = CONNECTION_COUNT_MAX
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(gateway.port, '127.0.0.1', resolve)
  })
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : undefined
}

function connectSocket(config: GuestConfig): Socket {
  const path = mapPath(config.pathMap, config.gateway?.socketPath ?? '')
  return asSupervisor(() => connect({ path, allowHalfOpen: true }))
}

function carry(client: Socket, upstream: Duplex): void {
  client.on('error', () => upstream.destroy())
  upstream.on('error', () => client.destroy())
  client.on('close', () => upstream.destroy())
  upstream.on('close', () => client.destroy())
  client.pipe(upstream)
  upstream.pipe(client)
}
