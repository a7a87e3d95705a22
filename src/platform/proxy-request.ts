import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Socket } from 'node:net'
import { connect as tlsConnect } from 'node:tls'

export type ProxyRequest = {
  /** Unix socket of the proxy */
  readonly socketPath: string
  /** Value of `Proxy-Authorization` */
  readonly proxyAuthorization: string
  readonly method: string
  /** `http:` goes in absolute form, `https:` through CONNECT with TLS end to end */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  /** For the whole exchange, `ms` */
  readonly timeoutMs: number
  /** Kept of the response's body; the rest is dropped */
  readonly bodyBytesMax: number
  readonly signal: AbortSignal
}

export type ProxyResponse = {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: string
  /** Header `x-swarm-refusal` of the proxy: it refused, nothing was reached */
  readonly denied: string | null
}

/** One request through an HTTP proxy on a unix socket. Redirects are not followed. Rejects when there is no answer. */
export async function requestThroughProxy(request: ProxyRequest): Promise<ProxyResponse> {
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(request.timeoutMs)])
  const url = new URL(request.url)
  if (url.protocol === 'http:') return await exchange(request, signal, plainOptions(request, url))
  const tunnel = await openTunnel(request, url, signal)
  if ('denied' in tunnel) return tunnel
  try {
    // What comes through the tunnel is the server's word, not the proxy's.
    const response = await exchange(request, signal, tunneledOptions(request, url, tunnel.socket))
    return { ...response, denied: null }
  } finally {
    tunnel.socket.destroy()
  }
}

type StartRequest = () => ReturnType<typeof httpRequest>

function plainOptions(request: ProxyRequest, url: URL): StartRequest {
  return () =>
    httpRequest({
      socketPath: request.socketPath,
      method: request.method,
      path: url.href,
      agent: false,
      headers: { host: url.host, ...request.headers, 'proxy-authorization': request.proxyAuthorization },
    })
}

function tunneledOptions(request: ProxyRequest, url: URL, socket: Socket): StartRequest {
  return () =>
    httpsRequest({
      method: request.method,
      host: url.hostname,
      path: `${url.pathname}${url.search}`,
      agent: false,
      headers: { host: url.host, ...request.headers },
      createConnection: () => tlsConnect({ socket, servername: url.hostname }),
    })
}

function openTunnel(
  request: ProxyRequest,
  url: URL,
  signal: AbortSignal,
): Promise<{ socket: Socket } | ProxyResponse> {
  return new Promise((resolve, reject) => {
    const target = `${url.hostname}:${url.port || 443}`
    const connect = httpRequest({
      socketPath: request.socketPath,
      method: 'CONNECT',
      path: target,
      agent: false,
      signal,
      headers: { host: target, 'proxy-authorization': request.proxyAuthorization },
    })
    connect.once('error', reject)
    connect.once('connect', (response, socket) => {
      if (response.statusCode === 200) return resolve({ socket: socket as Socket })
      socket.destroy()
      resolve(toResponse(response, `the proxy answered CONNECT ${target} with ${response.statusCode}`))
    })
    connect.end()
  })
}

function exchange(request: ProxyRequest, signal: AbortSignal, start: StartRequest): Promise<ProxyResponse> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const outgoing = start()
    const abort = () => outgoing.destroy(signal.reason as Error)
    signal.addEventListener('abort', abort, { once: true })
    outgoing.once('close', () => signal.removeEventListener('abort', abort))
    outgoing.once('error', reject)
    outgoing.once('response', (response) => {
      readBody(response, request.bodyBytesMax).then((body) => resolve(toResponse(response, body)), reject)
    })
    outgoing.end(request.body)
  })
}

async function readBody(response: IncomingMessage, bytesMax: number): Promise<string> {
  const kept: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    const part = chunk.subarray(0, Math.max(0, bytesMax - size))
    size += part.length
    if (part.length > 0) kept.push(part)
  }
  return Buffer.concat(kept).toString('utf8')
}

function toResponse(response: IncomingMessage, body: string): ProxyResponse {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(response.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value
  }
  const denied = headers['x-swarm-refusal'] ?? null
  return { status: response.statusCode ?? 0, headers, body, denied }
}
