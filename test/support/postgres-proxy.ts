/** Stands between a client and a PostgreSQL server and loses what it is told to lose. */
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * - `nothing`: passes everything on
 * - `commit`: the next commit does not reach the server, the connection breaks
 * - `answer`: the next commit reaches the server, its answer is lost, the connection breaks
 */
export type Loss = 'nothing' | 'commit' | 'answer'

export type PostgresProxy = AsyncDisposable & {
  /** Folder of its unix socket */
  readonly host: string
  /** For one commit; then nothing again */
  lose(what: Loss): void
  /** Commits that were lost */
  readonly lostCount: number
}

const SOCKET = '.s.PGSQL.5432'
const COMMIT = Buffer.from('commit\0')

export async function startPostgresProxy(serverHost: string): Promise<PostgresProxy> {
  const host = await mkdtemp(join(tmpdir(), 'swarm-pgproxy-'))
  const sockets = new Set<Socket>()
  let loss: Loss = 'nothing'
  let lostCount = 0
  const server = createServer((client) => {
    const upstream = connect(join(serverHost, SOCKET))
    const sever = () => {
      client.destroy()
      upstream.destroy()
    }
    let isAnswerLost = false
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', sever)
      socket.on('close', () => {
        sockets.delete(socket)
        sever()
      })
    }
    client.on('data', (bytes) => {
      const isHit = loss !== 'nothing' && bytes.includes(COMMIT)
      if (isHit) lostCount++
      if (isHit && loss === 'commit') {
        loss = 'nothing'
        sever()
        return
      }
      if (isHit) {
        loss = 'nothing'
        isAnswerLost = true
      }
      upstream.write(bytes)
    })
    upstream.on('data', (bytes) => {
      if (!isAnswerLost) client.write(bytes)
      // The server has answered that it is committed.
      else if (bytes.includes('COMMIT')) sever()
    })
  })
  await new Promise<void>((resolve) => server.listen(join(host, SOCKET), resolve))
  return {
    host,
    lose(what) {
      loss = what
    },
    get lostCount() {
      return lostCount
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
      await rm(host, { recursive: true, force: true })
    },
  }
}
