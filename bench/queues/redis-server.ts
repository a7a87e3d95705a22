import { join } from 'node:path'
import { connectUnixSocket } from '../../src/platform/unix-socket.ts'
import { NotAvailable, type PrepareDeps } from './contract.ts'
import { findServerUser, findVersion, makeServerDirectory, onPath, startServer } from './server.ts'

const CONNECT_TIMEOUT_MS = 1_000

/** Where the program is, and its version. Throws `NotAvailable`. */
export async function findRedis(given: string | undefined): Promise<{ program: string; version: string }> {
  const found = await findVersion(given === undefined ? onPath('redis-server') : [given])
  if (found === undefined) {
    const where = given === undefined ? "on the path: install Debian's redis-server" : `at ${given}`
    throw new NotAvailable(`there is no Redis server ${where}`)
  }
  return { program: found.program, version: /v=([\d.]+)/.exec(found.version)?.[1] ?? found.version }
}

/** A Redis of the bench's own on a unix socket; without snapshots, what it keeps is in its log. Gives the socket. */
export async function startRedis(
  deps: PrepareDeps,
  program: string,
  appendfsync: 'always' | 'everysec',
): Promise<string> {
  const user = await findServerUser()
  const directory = await makeServerDirectory(join(deps.directory, appendfsync), user)
  const socket = join(directory, 'redis.sock')
  const settings = ['--port', '0', '--unixsocket', socket, '--dir', directory, '--save', '']
  await startServer(
    deps,
    {
      argv: [program, ...settings, '--appendonly', 'yes', '--appendfsync', appendfsync],
      cwd: directory,
      ...user,
    },
    {
      endSignal: 'SIGTERM',
      async isReady() {
        const connection = await connectUnixSocket(socket, AbortSignal.timeout(CONNECT_TIMEOUT_MS))
        connection.destroy()
        return true
      },
    },
  )
  return socket
}
