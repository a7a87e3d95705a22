import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { requestUpstream } from '../platform/http-upstream.ts'
import type { ModelRoute } from './contract.ts'
import type { DoorContext } from './door-context.ts'
import type { Exchange } from './exchange.ts'
import { blameUpstream, countFlow, redactFlow, watchIdle } from './flow.ts'
import { pickHeaders } from './headers.ts'
import { MODEL_PATHS, readModelRequest } from './model-request.ts'
import type { Refusal } from './refusal.ts'
import { createTokenMeter } from './token-meter.ts'
import { toUpstreamRefusal } from './upstream-refusal.ts'

const REQUEST_HEADERS = ['accept', 'content-type', 'anthropic-version', 'anthropic-beta']
const RESPONSE_HEADERS = [
  'content-type',
  'retry-after',
  'retry-after-ms',
  'request-id',
  'x-request-id',
  'anthropic-ratelimit-*',
  'x-ratelimit-*',
]

/** Whether the request's address is on a model route rather than a proxy request. */
export function isModelPath(path: string): boolean {
  return path.startsWith('/model/')
}

/**
 * Passes a request on `/model/<name>/…` to the provider, with the real key, and its answer back as it comes.
 * @returns why it was refused, or `null` when it was answered
 */
export async function proxyModel(
  door: DoorContext,
  exchange: Exchange,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<Refusal | null> {
  const [, , name = '', ...rest] = (request.url ?? '').split('?')[0]?.split('/') ?? []
  if (name === '' && request.method === 'GET') return listRoutes(door, exchange, response)
  const path = `/${rest.join('/')}`
  const route = door.models.get(name)
  if (route === undefined) return refusal('model_unknown', 'this run has no model route of that name')
  exchange.model = route.name
  const url = toUpstreamUrl(route, path)
  exchange.target = { host: url.hostname, port: Number(url.port || (url.protocol === 'https:' ? 443 : 80)) }
  if (request.method !== 'POST' || !MODEL_PATHS[route.protocol].has(path)) {
    const known = [...MODEL_PATHS[route.protocol].keys()].join(', ')
    return refusal('model_route_unknown', `the model route ${route.name} has POST ${known}`)
  }
  const spent = door.usage()
  const { tokensMax } = door.limits
  if (tokensMax !== null && spent.inputTokens + spent.outputTokens >= tokensMax) {
    return refusal('budget_spent', `this run has used its ${tokensMax} tokens`)
  }
  const read = await readModelRequest(request, exchange, { route, bytesMax: door.limits.requestBytesMax })
  if (read.kind === 'refused') return refusal(read.reason, read.message)

  const key = await revealKey(route)
  if (!key.ok) return refusal('model_key_missing', key.problem)
  const { secret } = key
  const upstream = requestUpstream({
    url,
    method: 'POST',
    headers: {
      ...pickHeaders(request.headers, REQUEST_HEADERS),
      ...toCredential(route, secret),
      'content-length': read.body.length,
      'accept-encoding': 'identity',
    },
    connectTimeoutMs: door.limits.connectTimeoutMs,
    signal: exchange.signal,
  })
  const idle = watchIdle(exchange, door.limits.idleTimeoutMs)
  try {
    upstream.body.end(read.body)
    const answer = await upstream.response
    blameUpstream(exchange, answer)
    return await passAnswer(door, exchange, { answer, response, secret, route, path, touch: idle.touch })
  } catch (error) {
    return toUpstreamRefusal(exchange, error, `the model ${route.name}`)
  } finally {
    idle.stop()
    upstream.body.destroy()
  }
}

/** `GET /model/`: what this run may ask, and in which protocol. */
function listRoutes(door: DoorContext, exchange: Exchange, response: ServerResponse): null {
  const models = [...door.models.values()].map(({ name, protocol }) => ({ name, protocol }))
  const body = JSON.stringify({ models })
  exchange.status = 200
  exchange.responseBytes = Buffer.byteLength(body)
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': exchange.responseBytes })
  response.end(body)
  return null
}

function refusal(reason: Refusal['reason'], message: string): Refusal {
  return { reason, via: 'model', message }
}

async function passAnswer(
  door: DoorContext,
  exchange: Exchange,
  passage: {
    readonly answer: IncomingMessage
    readonly response: ServerResponse
    readonly secret: string
    readonly route: ModelRoute
    readonly path: string
    readonly touch: () => void
  },
): Promise<Refusal | null> {
  const { answer, response, secret, route, path } = passage
  const status = answer.statusCode ?? 502
  exchange.status = status
  // A redirect would lead the agent to a place that the route does not name.
  if (status < 200 || (status >= 300 && status < 400)) {
    return refusal('upstream_failed', `the model ${route.name} answered with status ${status}`)
  }
  exchange.isAnswered = status < 300 && MODEL_PATHS[route.protocol].get(path) === 'answers'
  const meter = createTokenMeter(route.protocol, answer.headers['content-type'] ?? '')
  response.writeHead(status, pickHeaders(answer.headers, RESPONSE_HEADERS))
  try {
    await pipeline(
      answer,
      countFlow(exchange, {
        count: 'responseBytes',
        bytesMax: door.limits.responseBytesMax,
        tooMany: 'response_too_large',
        onBytes: passage.touch,
      }),
      meter.flow,
      redactFlow([secret]),
      response,
    )
    return null
  } finally {
    if (exchange.isAnswered) exchange.tokens = meter.tokens()
  }
}

function toUpstreamUrl(route: ModelRoute, path: string): URL {
  const base = route.baseUrl.replace(/\/+$/, '').replace(/\/v1$/, '')
  return new URL(base + path)
}

function toCredential(route: ModelRoute, secret: string): OutgoingHttpHeaders {
  if (route.apiKey === null) return {}
  return route.protocol === 'anthropic-messages'
    ? { 'x-api-key': secret }
    : { authorization: `Bearer ${secret}` }
}

/** A key that cannot be had is said, instead of asking the provider without one. */
async function revealKey(
  route: ModelRoute,
): Promise<{ ok: true; secret: string } | { ok: false; problem: string }> {
  try {
    return { ok: true, secret: (await route.apiKey?.reveal()) ?? '' }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { ok: false, problem: `the key of the model route ${route.name} cannot be had: ${why}` }
  }
}
