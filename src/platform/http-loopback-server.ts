import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type LoopbackServer = {
  /** `http://127.0.0.1:40123` */
  readonly url: string
  /** Ends every connection. May be called twice. */
  close(): Promise<void>
}

export type LoopbackListener = (request: IncomingMessage, response: ServerResponse) => void

/**
 * Serves HTTP on 127.0.0.1 with Node's own request and response, for a server that must be able to misbehave on
 * the wire. `http-server.ts` is the door for everything else.
 * @param port 0: any free one
 */
export async function serveHttpOnLoopback(listener: LoopbackListener, port: number): Promise<LoopbackServer> {
  const server = createServer(listener satisfies RequestListener)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.removeListener('error', reject)
      resolve()
    })
  })
  const { port: found } = server.address() as AddressInfo
  let closing: Promise<void> | undefined
  return {
    url: `http://127.0.0.1:${found}`,
    close() {
      closing ??= new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
      return closing
    },
  }
}
