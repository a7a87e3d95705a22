import { chmod, lstat, mkdtemp, rename, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { connect, isIPv6 } from 'node:net'
import { dirname, join } from 'node:path'
import { getRequestListener } from '@hono/node-server'

/** Who is at the other end: a process that could open the socket file, or a network address. */
export type HttpPeer = { readonly kind: 'unix' } | { readonly kind: 'tcp'; readonly address: string }

/** Must not throw; its request's signal aborts when the other end hangs up. */
export type HttpHandler = (request: Request, peer: HttpPeer) => Promise<Response>

export type HttpServer = {
  /** `http://127.0.0.1:7377`, or `unix:/path` */
  readonly url: string
  /** The TCP port in use, also when 0 was asked for; `null` on a unix socket */
  readonly port: number | null
  /**
   * Takes no new connection, lets what is under way end for `graceMs`, then ends it. Removes the socket file unless
   * another server has taken its place. May be called twice.
   */
  close(options: { readonly graceMs: number }): Promise<void>
}

export type HttpServerLimits = {
  /** Longest time in which a whole request must have arrived, `ms` */
  readonly requestTimeoutMs?: number
  /** Longest silence on a connection, in both directions, `ms` */
  readonly idleTimeoutMs?: number
  readonly connectionCountMax?: number
}

/** Serves a fetch handler on TCP. The caller closes the server. */
export async function serveHttpOnTcp(
  handler: HttpHandler,
  where: { readonly host: string; readonly port: number },
  limits: HttpServerLimits = {},
): Promise<HttpServer> {
  const server = toServer(handler, (address) => ({ kind: 'tcp', address: address ?? 'unknown' }), limits)
  await listen(server, { host: where.host, port: where.port })
  const address = server.address()
  const port = address !== null && typeof address === 'object' ? address.port : where.port
  const host = isIPv6(where.host) ? `[${where.host}]` : where.host
  return { url: `http://${host}:${port}`, port, close: closeOnce(server, async () => {}) }
}

/** `sun_path` holds 108 bytes, the last one is zero */
const SOCKET_PATH_BYTES_MAX = 107

/**
 * Serves a fetch handler on a unix socket of mode 0600: only its owner (and root) can connect. A socket that nobody
 * listens on is replaced; one in use, and any other file, is left alone and refused.
 */
export async function serveHttpOnUnixSocket(
  handler: HttpHandler,
  path: string,
  limits: HttpServerLimits = {},
): Promise<HttpServer> {
  if (Buffer.byteLength(path) + '.api-XXXXXX/'.length > SOCKET_PATH_BYTES_MAX) {
    throw new Error(`the socket path ${path} is too long: choose a shorter state directory`)
  }
  await refuseIfTaken(path)
  const server = toServer(handler, () => ({ kind: 'unix' }), limits)
  // Bound inside a directory that only we may enter, so that the socket is never open to others, not for a moment.
  const nursery = await mkdtemp(join(dirname(path), '.api-'))
  try {
    const temporary = join(nursery, 's')
    await listen(server, { path: temporary })
    await chmod(temporary, 0o600)
    await rename(temporary, path)
  } catch (error) {
    server.close()
    throw error
  } finally {
    await rm(nursery, { recursive: true, force: true })
  }
  const { ino } = await lstat(path)
  const removeSocket = async () => {
    const found = await lstat(path).catch(() => undefined)
    if (found?.ino === ino) await rm(path, { force: true })
  }
  return { url: `unix:${path}`, port: null, close: closeOnce(server, removeSocket) }
}

async function refuseIfTaken(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return
  if (!found.isSocket())
    throw new Error(`cannot listen on ${path}: it is a file of another kind; move it away`)
  if (await isAnswering(path)) throw new Error(`cannot listen on ${path}: another process does`)
}

const CONNECT_TIMEOUT_MS = 1_000

function isAnswering(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path })
    const settle = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => settle(true))
    socket.once('connect', () => settle(true))
    socket.once('error', () => settle(false))
  })
}

const HEADER_BYTES_MAX = 16 * 1024
const HEADERS_TIMEOUT_MS = 30_000
const KEEP_ALIVE_TIMEOUT_MS = 10_000
const KEEP_ALIVE_PROBE_MS = 30_000
/** How often headers and requests that are late are looked for */
const CHECK_INTERVAL_MS = 5_000
const DEFAULT_LIMITS = { requestTimeoutMs: 60_000, idleTimeoutMs: 900_000, connectionCountMax: 1024 }

function toServer(
  handler: HttpHandler,
  toPeer: (address: string | undefined) => HttpPeer,
  limits: HttpServerLimits,
): Server {
  const { requestTimeoutMs, idleTimeoutMs, connectionCountMax } = { ...DEFAULT_LIMITS, ...limits }
  const listener = getRequestListener(
    (request, env) => handler(request, toPeer(env.incoming.socket.remoteAddress)),
    { overrideGlobalObjects: false, hostname: 'localhost' },
  )
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: Math.min(HEADERS_TIMEOUT_MS, requestTimeoutMs),
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS, requestTimeoutMs),
      // Finds out about a peer that is gone without a word.
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
    },
    // Its promise resolves when the answer is sent and never rejects: it answers 500 by itself.
    (request, response) => void listener(request, response),
  )
  server.setTimeout(idleTimeoutMs)
  server.maxConnections = connectionCountMax
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n')
    else socket.destroy()
  })
  server.on('upgrade', (_request, socket) => socket.destroy())
  return server
}

function listen(server: Server, where: { host: string; port: number } | { path: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.removeListener('error', reject)
      resolve()
    })
  })
}

function closeOnce(server: Server, afterwards: () => Promise<void>): HttpServer['close'] {
  let closing: Promise<void> | undefined
  return ({ graceMs }) => {
    closing ??= close(server, graceMs).then(afterwards)
    return closing
  }
}

async function close(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  const timer = setTimeout(() => server.closeAllConnections(), graceMs)
  await closed
  clearTimeout(timer)
}
