import { createHash, randomBytes } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Effect } from '../domain/effect.ts'
import type { Json, JsonObject } from '../domain/json.ts'
import type { Door } from '../gateway/contract.ts'
import { type ProxyResponse, requestThroughProxy } from '../platform/proxy-request.ts'
import type { EngineDeps } from './ports.ts'
import type { EffectEnd } from './send-effect.ts'

const TIMEOUT_MS = 60_000
const BODY_BYTES_MAX = 256 * 1024
const DOOR_MARGIN_MS = 10_000

/** Written by `openStepWait` of this folder from an `http` step. */
type HttpPayload = { method: string; url: string; headers: Record<string, string>; body?: Json }

/**
 * Sends the request of an `http` step through a door of its own, so that the same allow-list holds as for a
 * sandbox. It carries an `Idempotency-Key`, because it may be sent twice.
 */
export async function sendHttpRequest(
  deps: EngineDeps,
  effect: Effect,
  signal: AbortSignal,
): Promise<EffectEnd> {
  const payload = effect.payload as unknown as HttpPayload
  const token = randomBytes(32).toString('base64url')
  const directory = join(deps.settings.stateDir, 'doors', effect.id)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  let door: Door | undefined
  try {
    door = await deps.gateway.openDoor({
      runId: effect.runId ?? '',
      ticketId: effect.ticketId,
      runTokenSha256: createHash('sha256').update(token).digest('hex'),
      expiresAt: deps.store.now() + TIMEOUT_MS + DOOR_MARGIN_MS,
      directory,
      policy: { hosts: '*', models: [] },
      onEvent: () => {},
    })
    const response = await requestThroughProxy({
      socketPath: door.socketPath,
      proxyAuthorization: `Basic ${Buffer.from(`swarm:${token}`).toString('base64')}`,
      method: payload.method,
      url: payload.url,
      headers: { 'idempotency-key': effect.key, ...payload.headers, ...contentType(payload) },
      ...(payload.body === undefined ? {} : { body: toBody(payload.body) }),
      timeoutMs: TIMEOUT_MS,
      bodyBytesMax: BODY_BYTES_MAX,
      signal,
    })
    return toEnd(payload, response)
  } catch (error) {
    signal.throwIfAborted()
    const message = error instanceof Error ? error.message : String(error)
    return { kind: 'failed', reason: 'http_failed', detail: `${payload.method} ${payload.url}: ${message}` }
  } finally {
    await door?.close()
    await rm(directory, { recursive: true, force: true })
  }
}

function toBody(body: Json): string {
  return typeof body === 'string' ? body : JSON.stringify(body)
}

function contentType({ body, headers }: HttpPayload): Record<string, string> {
  const isGiven = Object.keys(headers).some((name) => name.toLowerCase() === 'content-type')
  if (body === undefined || isGiven) return {}
  return { 'content-type': typeof body === 'string' ? 'text/plain; charset=utf-8' : 'application/json' }
}

/** Refusals that may pass by themselves; the others are policy, and repeating cannot help */
const NETWORK_DENIALS = ['resolve_failed', 'connect_failed', 'upstream_failed', 'timed_out', 'rate_limited']

function toEnd(payload: HttpPayload, response: ProxyResponse): EffectEnd {
  const { status, headers } = response
  const what = `${payload.method} ${payload.url} was answered with ${status}`
  if (response.denied !== null) {
    const reason = NETWORK_DENIALS.includes(response.denied) ? 'http_failed' : 'input_invalid'
    return { kind: 'failed', reason, detail: `${what} by the gateway: ${response.denied}` }
  }
  if (status >= 500 || status === 429) {
    const seconds = Number(headers['retry-after'])
    return {
      kind: 'failed',
      reason: 'http_failed',
      detail: what,
      ...(Number.isFinite(seconds) && seconds > 0 ? { retryAfterMs: Math.min(seconds, 3600) * 1000 } : {}),
    }
  }
  const result: JsonObject = { status, headers, body: parseBody(response) }
  return { kind: 'done', outcome: { kind: 'plain', result } }
}

function parseBody({ headers, body }: { headers: Record<string, string>; body: string }): Json {
  if (!headers['content-type']?.includes('json')) return body
  try {
    return JSON.parse(body) as Json
  } catch {
    return body
  }
}
