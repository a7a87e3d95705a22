import { randomBytes } from 'node:crypto'
import { chmod, rename, rm, stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { dirname, join } from 'node:path'

export type HttpHandlers = {
  request(request: IncomingMessage, response: ServerResponse): void
  /** A CONNECT request; the handler owns the socket from here on */
  connect(request: IncomingMessage, socket: Socket, head: Buffer): void
}

export type HttpSocketServer = {
  readonly path: string
  /** Ends every connection and removes the socket file, unless another server has taken its place */
  close(): Promise<void>
}

const CONNECTION_COUNT_MAX = 256
const HEADER_BYTES_MAX = 32 * 1024
const HEADERS_TIMEOUT_MS = 30_000
const KEEP_ALIVE_TIMEOUT_MS = 60_000
/** `sun_path` holds 108 bytes, the last one is zero */
const SOCKET_PATH_BYTES_MAX = 107

/**
 * Serves HTTP/1.1 on a unix socket. A socket file in the way, also one that another process still listens on,
 * is replaced in one step, so that a client never finds the path missing.
 * @param options.mode permission bits of the socket file
 */
export async function serveHttpOnSocket(
  path: string,
  handlers: HttpHandlers,
  options: { readonly mode: number; readonly requestTimeoutMs: number },
): Promise<HttpSocketServer> {
  const temporary = join(dirname(path), `.s${randomBytes(4).toString('hex')}`)
  if (
    Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX ||
    Buffer.byteLength(temporary) > SOCKET_PATH_BYTES_MAX
  ) {
    throw new Error(
      `the socket path ${path} is longer than ${SOCKET_PATH_BYTES_MAX} bytes: choose a shorter state directory`,
    )
  }
  const sockets = new Set<Socket>()
  const server = createServer({
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: Math.min(HEADERS_TIMEOUT_MS, options.requestTimeoutMs),
    requestTimeout: options.requestTimeoutMs,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
  })
  server.maxConnections = CONNECTION_COUNT_MAX
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
  })
  server.on('request', handlers.request)
  server.on('connect', handlers.connect)
  server.on('upgrade', (_request, socket) => socket.destroy())
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n')
    else socket.destroy()
  })

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(temporary, () => {
      server.removeListener('error', reject)
      resolve()
    })
  })
  try {
    await chmod(temporary, options.mode)
    await rename(temporary, path)
  } catch (error) {
    server.close()
    throw error
  }
  // A connection that could not be accepted (no descriptor left) is lost to its client only.
  server.on('error', () => {})
  const { ino } = await stat(path)

  let closing: Promise<void> | undefined
  const close = async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    for (const socket of sockets) socket.destroy()
    const found = await stat(path).catch(() => undefined)
    if (found?.ino === ino) await rm(path, { force: true })
    await closed
  }
  return {
    path,
    close() {
      closing ??= close()
      return closing
    },
  }
}
