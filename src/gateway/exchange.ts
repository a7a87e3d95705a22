import type { NetworkTarget } from '../platform/network-address.ts'
import type { DenialReason, GatewayEvent, TokenCount } from './contract.ts'

/** What is known of one request while it goes through a door; ends as one event. */
export type Exchange = {
  readonly startedAt: number
  readonly via: GatewayEvent['via']
  readonly method: string
  target: NetworkTarget
  model: string | null
  status: number | null
  denied: DenialReason | null
  requestBytes: number
  responseBytes: number
  tokens: TokenCount | null
  /** Whether a model began to answer: what it used is counted, by estimate when it was not told */
  isAnswered: boolean
  /** Aborted by the deadline, the door's end or the client's */
  readonly signal: AbortSignal
  /** Ends the exchange early; the first reason stays */
  end(reason: DenialReason): void
}

export function openExchange(input: {
  readonly startedAt: number
  readonly via: GatewayEvent['via']
  readonly method: string
  readonly requestTimeoutMs: number
  readonly doorSignal: AbortSignal
}): Exchange & { close(): void } {
  const controller = new AbortController()
  const exchange: Exchange & { close(): void } = {
    startedAt: input.startedAt,
    via: input.via,
    method: input.method.slice(0, METHOD_CHARS_MAX),
    target: { host: '', port: 0 },
    model: null,
    status: null,
    denied: null,
    requestBytes: 0,
    responseBytes: 0,
    tokens: null,
    isAnswered: false,
    signal: controller.signal,
    end(reason) {
      exchange.denied ??= reason
      controller.abort(new Error(reason))
    },
    close() {
      clearTimeout(timer)
      input.doorSignal.removeEventListener('abort', onDoorEnd)
    },
  }
  const onDoorEnd = () => exchange.end('closed')
  const timer = setTimeout(() => exchange.end('timed_out'), input.requestTimeoutMs)
  input.doorSignal.addEventListener('abort', onDoorEnd, { once: true })
  return exchange
}

const METHOD_CHARS_MAX = 16
const BYTES_PER_TOKEN = 4

/** The event of an ended exchange. */
export function toEvent(
  exchange: Exchange,
  run: { readonly runId: string; readonly ticketId: string },
  now: number,
): GatewayEvent {
  return {
    at: exchange.startedAt,
    runId: run.runId,
    ticketId: run.ticketId,
    via: exchange.via,
    method: exchange.method,
    host: exchange.target.host,
    port: exchange.target.port,
    model: exchange.model,
    status: exchange.status,
    denied: exchange.denied,
    requestBytes: exchange.requestBytes,
    responseBytes: exchange.responseBytes,
    durationMs: Math.max(0, now - exchange.startedAt),
    tokens: toTokens(exchange),
  }
}

/** An agent that hangs up before the usage is told must not get its tokens for free. */
function toTokens(exchange: Exchange): GatewayEvent['tokens'] {
  if (exchange.tokens !== null) return { ...exchange.tokens, isEstimated: false }
  if (!exchange.isAnswered) return null
  return {
    inputTokens: Math.ceil(exchange.requestBytes / BYTES_PER_TOKEN),
    outputTokens: Math.ceil(exchange.responseBytes / BYTES_PER_TOKEN),
    cachedInputTokens: 0,
    isEstimated: true,
  }
}
