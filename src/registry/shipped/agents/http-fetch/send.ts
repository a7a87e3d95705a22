/** One HTTP request through a proxy: in absolute form for `http`, by a tunnel and our own TLS for `https`. */
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Socket } from 'node:net'

export type SendRequest = {
  readonly url: URL
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  readonly bodyBytesMax: number
  readonly proxy: URL
  readonly signal: AbortSignal
}

export type Answer = {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: string
  readonly bodyBytes: number
  readonly isTruncated: boolean
  /** Why the gateway let nothing through, or `null` */
  readonly refusal: string | null
}

export async function send(input: SendRequest): Promise<Answer> {
  if (input.url.protocol === 'http:') return await sendPlain(input)
  const tunnel = await openTunnel(input)
  if (!('socket' in tunnel)) return tunnel.refused
  const { url, method, headers, signal } = input
  return await exchange(input, () =>
    httpsRequest({
      ...toHostAndPort(url, 443),
      path: url.pathname + url.search,
      method,
      headers,
      signal,
      agent: false,
      socket: tunnel.socket,
      servername: url.hostname,
    } as RequestOptions),
  )
}

const REFUSAL_HEADER = 'x-swarm-refusal'

async function sendPlain(input: SendRequest): Promise<Answer> {
  const { url, method, headers, proxy, signal } = input
  return await exchange(input, () =>
    httpRequest({
      ...toHostAndPort(proxy, 80),
      path: url.href.split('#')[0],
      method,
      headers: { ...headers, host: url.host, ...proxyCredentials(proxy) },
      signal,
      agent: false,
    }),
  )
}

function openTunnel(input: SendRequest): Promise<{ socket: Socket } | { refused: Answer }> {
  const { url, proxy, signal } = input
  const { host, port } = toHostAndPort(url, 443)
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      ...toHostAndPort(proxy, 80),
      method: 'CONNECT',
      path: authority,
      headers: { host: authority, ...proxyCredentials(proxy) },
      signal,
      agent: false,
    })
    request.once('error', reject)
    request.once('connect', (response, socket) => {
      if (response.statusCode === 200) return resolve({ socket })
      socket.destroy()
      const refusal = String(response.headers[REFUSAL_HEADER] ?? `status ${response.statusCode}`)
      const empty = { headers: {}, body: '', bodyBytes: 0, isTruncated: false }
      resolve({ refused: { ...empty, status: response.statusCode ?? 0, refusal } })
    })
    request.end()
  })
}

function exchange(input: SendRequest, start: () => ReturnType<typeof httpRequest>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = start()
    request.once('error', reject)
    request.once('response', (response) => readAnswer(response, input.bodyBytesMax).then(resolve, reject))
    request.end(input.body)
  })
}

/** Reads on after the limit only to count; a body without end is ended by the deadline. */
async function readAnswer(response: IncomingMessage, bodyBytesMax: number): Promise<Answer> {
  const kept: Buffer[] = []
  let bodyBytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    const room = bodyBytesMax - bodyBytes
    if (room > 0) kept.push(chunk.subarray(0, room))
    bodyBytes += chunk.length
  }
  const headers = Object.fromEntries(
    Object.entries(response.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : `${value}`,
    ]),
  )
  return {
    status: response.statusCode ?? 0,
    headers,
    body: Buffer.concat(kept).toString('utf8').replaceAll('\u0000', '\ufffd'),
    bodyBytes,
    isTruncated: bodyBytes > bodyBytesMax,
    refusal: headers[REFUSAL_HEADER] ?? null,
  }
}

function toHostAndPort(url: URL, port: number): { host: string; port: number } {
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || port) }
}

function proxyCredentials(proxy: URL): Record<string, string> {
  if (proxy.username === '' && proxy.password === '') return {}
  const pair = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` }
}
