import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { serveHttpOnSocket } from '../platform/http-socket-server.ts'
import type { ResolveHost } from '../platform/resolve-host.ts'
import { createAdmission } from './admission.ts'
import {
  DEFAULT_DOOR_LIMITS,
  type Door,
  type DoorRequest,
  type DoorUsage,
  type GatewayEvent,
  GatewayTroubleError,
} from './contract.ts'
import type { DoorContext, GatewayRules } from './door-context.ts'
import { type Exchange, openExchange, toEvent } from './exchange.ts'
import { toCanonicalRule } from './host-policy.ts'
import { proxyConnect } from './proxy-connect.ts'
import { proxyHttp } from './proxy-http.ts'
import { isModelPath, proxyModel } from './proxy-model.ts'
import { type Refusal, refuse, refuseTunnel } from './refusal.ts'
import { checkRunToken, findModelToken, findProxyToken } from './run-token.ts'

export const SOCKET_NAME = 'gateway.sock'
/** Any user may connect, as the sandbox's user is not ours: the directory and the run token are the fence. */
const SOCKET_MODE = 0o666
/** Requests refused at the door that become events */
const REFUSALS_PER_MINUTE = 60
/** Beyond that a refusal takes its time, so that asking again and again costs the host little */
const REFUSAL_DELAY_MS = 250

/** One run's door. Every request passes the token, then the counters, then its own route. */
export async function openDoor(
  rules: GatewayRules,
  system: { readonly now: () => number; readonly resolve: ResolveHost },
  request: DoorRequest,
): Promise<Door> {
  const closing = new AbortController()
  const usage = createUsage()
  const door: DoorContext = { ...toContext(rules, request), resolve: system.resolve, usage: usage.read }
  const admit = createAdmission(door.limits, system.now)
  const bounds = { requestsPerMinute: REFUSALS_PER_MINUTE, concurrentRequests: Number.POSITIVE_INFINITY }
  const tell = createAdmission(bounds, system.now)

  const pass = async (
    entry: { readonly via: GatewayEvent['via']; readonly method: string; readonly token: string | undefined },
    work: (exchange: Exchange) => Promise<Refusal | null>,
    onRefusal: (refusal: Refusal) => void,
  ) => {
    const { requestTimeoutMs } = door.limits
    const exchange = openExchange({
      ...entry,
      startedAt: system.now(),
      requestTimeoutMs,
      doorSignal: closing.signal,
    })
    let isTold = true
    const turnAway = async (refusal: Refusal) => {
      isTold = tell().kind === 'admitted'
      if (!isTold) await delay(REFUSAL_DELAY_MS)
      return refusal
    }
    try {
      const refusal = await decide(entry, turnAway, () => work(exchange))
      if (refusal !== null) {
        exchange.denied ??= refusal.reason
        onRefusal(refusal)
      }
    } finally {
      exchange.close()
      const event = toEvent(exchange, request, system.now())
      usage.add(event)
      if (isTold) request.onEvent(event)
    }
  }
  const decide = async (
    { via, token }: { readonly via: GatewayEvent['via']; readonly token: string | undefined },
    turnAway: (refusal: Refusal) => Promise<Refusal>,
    work: () => Promise<Refusal | null>,
  ): Promise<Refusal | null> => {
    const reason = checkRunToken(token, { ...request, now: system.now() })
    if (reason !== null) return await turnAway({ reason, via, message: 'this door opens with its run token' })
    const admission = admit()
    if (admission.kind === 'refused') {
      return await turnAway({ ...admission, via, message: 'this run sends too many requests' })
    }
    try {
      return await work()
    } finally {
      admission.release()
    }
  }

  const onRequest = (incoming: IncomingMessage, response: ServerResponse) => {
    const isModel = isModelPath(incoming.url ?? '')
    const via = isModel ? 'model' : 'http'
    const token = isModel ? findModelToken(incoming.headers) : findProxyToken(incoming.headers)
    const proxy = isModel ? proxyModel : proxyHttp
    settle(
      pass(
        { via, method: incoming.method ?? '', token },
        (exchange) => {
          response.once('close', () => {
            if (!response.writableFinished) exchange.end('closed')
          })
          return proxy(door, exchange, incoming, response)
        },
        (refusal) => refuse(response, refusal),
      ),
      response,
    )
  }
  const onConnect = (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
    settle(
      pass(
        { via: 'connect', method: 'CONNECT', token: findProxyToken(incoming.headers) },
        (exchange) => {
          // Hanging up is how a tunnel ends; before it is open, it ends our search for the host.
          socket.once('close', () => {
            if (exchange.status === null) exchange.end('closed')
          })
          return proxyConnect(door, exchange, { request: incoming, socket, head })
        },
        (refusal) => refuseTunnel(socket, refusal),
      ),
      socket,
    )
  }

  const path = join(request.directory, SOCKET_NAME)
  const server = await serveHttpOnSocket(
    path,
    { request: onRequest, connect: onConnect },
    { mode: SOCKET_MODE, requestTimeoutMs: door.limits.requestTimeoutMs },
  ).catch((cause: unknown) => {
    throw new GatewayTroubleError('socket_failed', `cannot open the gateway's socket ${path}`, { cause })
  })
  const close = async () => {
    closing.abort(new Error('the door was closed'))
    await server.close()
  }
  return { socketPath: path, usage: usage.read, close, [Symbol.asyncDispose]: close }
}

/** A failure of ours must not take the coordinator down: the one connection it happened on is dropped. */
function settle(passing: Promise<void>, connection: { destroy(): void }): void {
  passing.catch(() => connection.destroy())
}

function toContext(rules: GatewayRules, request: DoorRequest): Omit<DoorContext, 'resolve' | 'usage'> {
  const { hosts, models, limits } = request.policy
  return {
    operatorHosts: rules.hosts,
    askedHosts: hosts === '*' ? '*' : hosts.map(toCanonicalRule),
    models: new Map([...rules.models].filter(([name]) => models === '*' || models.includes(name))),
    placeholders: rules.placeholders,
    limits: { ...DEFAULT_DOOR_LIMITS, ...limits },
  }
}

function createUsage(): { add(event: GatewayEvent): void; read(): DoorUsage } {
  let usage: DoorUsage = {
    inputTokens: 0,
    outputTokens: 0,
    cachedInputTokens: 0,
    requestCount: 0,
    deniedCount: 0,
  }
  return {
    read: () => usage,
    add(event) {
      usage = {
        inputTokens: usage.inputTokens + (event.tokens?.inputTokens ?? 0),
        outputTokens: usage.outputTokens + (event.tokens?.outputTokens ?? 0),
        cachedInputTokens: usage.cachedInputTokens + (event.tokens?.cachedInputTokens ?? 0),
        requestCount: usage.requestCount + 1,
        deniedCount: usage.deniedCount + (event.denied === null ? 0 : 1),
      }
    },
  }
}
