/** Unix sockets between this process and one it starts. */

import assert from 'node:assert'
import { type FileHandle, open, rename } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { basename, dirname, join } from 'node:path'

/** `sun_path` holds 108 bytes, the last one is zero */
const PATH_BYTES_MAX = 107

export type InheritedListener = {
  /** Descriptor for the `stdio` of the process that is to accept the connections */
  readonly fd: number
  /** Closes this process's copy; the socket file stays. Safe to call twice */
  release(): void
}

/**
 * Listens on a socket file for another process: it inherits the handle, this process lets go of it. Whoever
 * connects meanwhile waits in the queue, so nobody polls for the other process to be ready. The caller removes
 * the file.
 */
export async function listenForChild(path: string): Promise<InheritedListener> {
  return await withShortPath(path, async (shortPath) => {
    const server = createServer()
    const temporary = join(dirname(shortPath), `.${basename(shortPath)}.new`)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ path: temporary, backlog: 16 }, resolve)
    })
    // Closing a server removes the file it has made; under its final name it stays.
    await rename(temporary, shortPath)
    return { fd: descriptorOf(server), release: () => void server.close() }
  })
}

/** Connects, or rejects: with the signal's reason when aborted. The caller owns the socket. */
export async function connectUnixSocket(path: string, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted()
  return await withShortPath(
    path,
    (shortPath) =>
      new Promise<Socket>((resolve, reject) => {
        const socket = connect({ path: shortPath })
        const abort = () => {
          socket.destroy()
          reject(signal.reason)
        }
        signal.addEventListener('abort', abort, { once: true })
        const settled = () => signal.removeEventListener('abort', abort)
        socket.once('error', (error) => {
          settled()
          reject(error)
        })
        socket.once('connect', () => {
          settled()
          socket.removeAllListeners('error')
          resolve(socket)
        })
      }),
  )
}

/** Node has no public name for it; an inherited socket can only be named by its descriptor. */
function descriptorOf(server: Server): number {
  const fd = (server as unknown as { _handle?: { fd?: unknown } })._handle?.fd
  assert(typeof fd === 'number' && fd >= 0, 'a listening server has a descriptor')
  return fd
}

/** A path too long for a socket is reached through an open descriptor of its directory. */
async function withShortPath<T>(path: string, action: (path: string) => Promise<T>): Promise<T> {
  if (Buffer.byteLength(path) + 8 <= PATH_BYTES_MAX) return await action(path)
  const directory: FileHandle = await open(dirname(path), 'r')
  try {
    return await action(`/proc/self/fd/${directory.fd}/${basename(path)}`)
  } finally {
    await directory.close()
  }
}
