/** A client of one door, as a program in a sandbox would be, and servers for it to reach. */
import { createServer, type IncomingMessage, type RequestListener, request, type Server } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'

export type DoorAnswer = {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
  /** Why the gateway refused, or `undefined` */
  readonly refusal: string | undefined
}

export type DoorRequestOptions = {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string | Uint8Array
}

/** A request whose target is `path` as given: absolute form for the proxy, `/model/…` for a model. */
export function sendThrough(
  socketPath: string,
  path: string,
  options: DoorRequestOptions = {},
): Promise<DoorAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({
      socketPath,
      path,
      method: options.method ?? 'GET',
      headers: options.headers ?? {},
      agent: false,
    })
    outgoing.on('error', reject)
    outgoing.once('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.once('error', reject)
      response.once('aborted', () => reject(new Error('the answer was cut')))
      response.once('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString('utf8'),
          refusal: response.headers['x-swarm-refusal']?.toString(),
        }),
      )
    })
    outgoing.end(options.body)
  })
}

/** A CONNECT request: the tunnel's socket, or the refusal. */
export function connectThrough(
  socketPath: string,
  authority: string,
  headers: Record<string, string>,
): Promise<{ status: number; socket: Socket; refusal: string | undefined }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method: 'CONNECT', path: authority, headers, agent: false })
    outgoing.on('error', reject)
    outgoing.once('connect', (response, socket) => {
      resolve({
        status: response.statusCode ?? 0,
        socket,
        refusal: response.headers['x-swarm-refusal']?.toString(),
      })
    })
    outgoing.end()
  })
}

export function proxyAuthorization(token: string): Record<string, string> {
  return { 'proxy-authorization': `Basic ${Buffer.from(`swarm:${token}`).toString('base64')}` }
}

export async function startWebServer(
  listener: RequestListener,
): Promise<AsyncDisposable & { readonly port: number; readonly requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = []
  const server = createServer((incoming, response) => {
    requests.push(incoming)
    listener(incoming, response)
  })
  return { port: await listen(server), requests, [Symbol.asyncDispose]: () => stop(server) }
}

/** Sends back what it gets, byte for byte. */
export async function startEchoServer(): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>()
  const server = createTcpServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

async function stop(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise<void>((resolve) => server.close(() => resolve()))
}
