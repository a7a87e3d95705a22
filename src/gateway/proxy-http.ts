import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { requestUpstream } from '../platform/http-upstream.ts'
import { parseTarget } from '../platform/network-address.ts'
import { admitTarget } from './admit-target.ts'
import type { DoorContext } from './door-context.ts'
import type { Exchange } from './exchange.ts'
import { blameUpstream, countFlow, redactFlow, watchIdle } from './flow.ts'
import { stripHopByHop } from './headers.ts'
import { swapPlaceholders } from './placeholders.ts'
import { REFUSAL_HEADER, type Refusal } from './refusal.ts'
import { toUpstreamRefusal } from './upstream-refusal.ts'

/**
 * Forwards a proxy request in absolute form (`GET http://host/path`). An `https` address is allowed too: then
 * the gateway speaks TLS to the host, and placeholders in the headers can be swapped.
 * @returns why it was refused, or `null` when it was answered
 */
export async function proxyHttp(
  door: DoorContext,
  exchange: Exchange,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<Refusal | null> {
  const url = URL.parse(request.url ?? '')
  const target = url === null ? undefined : toTarget(url)
  if (url === null || target === undefined) {
    return {
      reason: 'target_invalid',
      via: 'http',
      message: 'a proxy request names an http or https address',
    }
  }
  const admitted = await admitTarget(door, exchange, target)
  if (admitted.kind === 'refused') return admitted.refusal

  const swapped = await swapPlaceholders(toRequestHeaders(request, url), target, {
    rules: door.placeholders,
    isSafe: url.protocol === 'https:' || admitted.allowsPrivate,
  })
  if (swapped.kind === 'misused') {
    return {
      reason: 'placeholder_misused',
      via: 'http',
      message: `a secret of this run is not for ${target.host}:${target.port}`,
    }
  }
  // Compressed bytes cannot be searched for the secret.
  if (swapped.secrets.length > 0) swapped.headers['accept-encoding'] = 'identity'

  const upstream = requestUpstream({
    url,
    method: request.method ?? 'GET',
    headers: swapped.headers,
    addresses: admitted.addresses,
    connectTimeoutMs: door.limits.connectTimeoutMs,
    signal: exchange.signal,
  })
  const idle = watchIdle(exchange, door.limits.idleTimeoutMs)
  const sending = pipeline(
    request,
    countFlow(exchange, {
      count: 'requestBytes',
      bytesMax: door.limits.requestBytesMax,
      tooMany: 'request_too_large',
      onBytes: idle.touch,
    }),
    upstream.body,
  )
  // When sending fails, the answer fails or is already there.
  sending.catch(() => {})
  try {
    const answer = await upstream.response
    blameUpstream(exchange, answer)
    exchange.status = answer.statusCode ?? null
    response.writeHead(answer.statusCode ?? 502, toResponseHeaders(answer, swapped.secrets))
    await pipeline(
      answer,
      countFlow(exchange, {
        count: 'responseBytes',
        bytesMax: door.limits.responseBytesMax,
        tooMany: 'response_too_large',
        onBytes: idle.touch,
      }),
      redactFlow(swapped.secrets),
      response,
    )
    return null
  } catch (error) {
    return toUpstreamRefusal(exchange, error, `${target.host}:${target.port}`)
  } finally {
    idle.stop()
    upstream.body.destroy()
  }
}

function toTarget(url: URL): ReturnType<typeof parseTarget> {
  const isHttp = url.protocol === 'http:' || url.protocol === 'https:'
  if (!isHttp || url.username !== '' || url.password !== '') return undefined
  return parseTarget(`${url.hostname}:${url.port || (url.protocol === 'https:' ? '443' : '80')}`)
}

/** `Host` is what the address says, whatever the client wrote: the allow-list was asked about the address. */
function toRequestHeaders(request: IncomingMessage, url: URL): OutgoingHttpHeaders {
  const headers = stripHopByHop(request.headers)
  headers.host = url.host
  // Whatever `Connection` names: without what frames it, the body would be read as a request of its own.
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  if (encoding !== undefined) headers['transfer-encoding'] = 'chunked'
  else if (length !== undefined) headers['content-length'] = length
  return headers
}

function toResponseHeaders(answer: IncomingMessage, secrets: readonly string[]): OutgoingHttpHeaders {
  const headers = stripHopByHop(answer.headers)
  // Says that the gateway refused, so no server may say it.
  delete headers[REFUSAL_HEADER]
  if (secrets.length === 0) return headers
  delete headers['content-length']
  return Object.fromEntries(
    Object.entries(headers).filter(([, value]) => !secrets.some((secret) => String(value).includes(secret))),
  )
}
