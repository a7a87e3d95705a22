import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, open, rename, rm, stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { dirname } from 'node:path'

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

  await listenAt(server, path, options.mode)
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

/**
 * Binds under a temporary name, then renames. The name goes by an open descriptor of the directory: a socket's
 * path holds 107 bytes, and a state directory may be deep.
 */
async function listenAt(server: Server, path: string, mode: number): Promise<void> {
  const directory = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY)
  const temporary = `/proc/self/fd/${directory.fd}/.s${randomBytes(4).toString('hex')}`
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(temporary, () => {
        server.removeListener('error', reject)
        resolve()
      })
    })
    await chmod(temporary, mode)
    await rename(temporary, path)
  } catch (error) {
    server.close()
    throw error
  } finally {
    await directory.close()
  }
}
