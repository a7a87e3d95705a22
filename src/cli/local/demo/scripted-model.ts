import { type HttpServer, serveHttpOnTcp } from '../../../platform/http-server.ts'
import { streamAnthropic, toAnthropicReply, toAnthropicScene } from './anthropic-wire.ts'
import { type ModelScript, type Play, playScript, type Scene } from './model-script.ts'
import { streamOpenai, toOpenaiReply, toOpenaiScene } from './openai-wire.ts'

export type ScriptedModelOptions = {
  /** The first whose needle occurs in the first user message is played */
  readonly scripts: readonly ModelScript[]
  /** Credential that clients must send; absent: any will do */
  readonly apiKey?: string
  /** Default 0: any free one */
  readonly port?: number
}

/** One way to fail, used up by one request. */
export type ModelFault =
  | { readonly kind: 'status'; readonly status: number; readonly retryAfterSeconds?: number }
  /** Begins a good answer and drops the connection in the middle */
  | { readonly kind: 'cut' }
  /** Never answers */
  | { readonly kind: 'hang' }
  /** Status 200 and a body that is no answer */
  | { readonly kind: 'malformed' }

export type ScriptedModel = AsyncDisposable & {
  readonly url: string
  /** Requests so far, without their credentials */
  readonly requests: readonly ModelRequestRecord[]
  /** The next requests fail so, one each, in this order */
  failNext(...faults: readonly ModelFault[]): void
  close(): Promise<void>
}

export type ModelRequestRecord = {
  readonly path: string
  readonly isStreamed: boolean
  readonly isAuthorized: boolean
  /** Number of answers in the conversation so far */
  readonly turn: number
  readonly fault: ModelFault['kind'] | null
}

/**
 * A model server on loopback that plays scripts instead of thinking. It speaks the Anthropic Messages and the
 * OpenAI chat completions protocol, streamed and whole. It keeps no conversation: which turn it is, and what the
 * tools have shown, it reads from each request, as a model does.
 */
export async function startScriptedModel(options: ScriptedModelOptions): Promise<ScriptedModel> {
  const faults: ModelFault[] = []
  const requests: ModelRequestRecord[] = []
  const server: HttpServer = await serveHttpOnTcp(
    (request) => answer(request, { options, faults, requests }),
    { host: '127.0.0.1', port: options.port ?? 0 },
  )
  const close = () => server.close({ graceMs: 0 })
  return {
    url: server.url,
    requests,
    failNext: (...added) => void faults.push(...added),
    close,
    [Symbol.asyncDispose]: close,
  }
}

type Wire = {
  toScene(body: Record<string, unknown>): Scene
  toReply(play: Play): unknown
  stream(play: Play): readonly string[]
  readonly errorOf: (status: number) => unknown
}

const WIRES: Readonly<Record<string, Wire>> = {
  '/v1/messages': {
    toScene: toAnthropicScene,
    toReply: toAnthropicReply,
    stream: streamAnthropic,
    errorOf: (status) => ({
      type: 'error',
      error: { type: ERROR_TYPES[status] ?? 'api_error', message: `status ${status}` },
    }),
  },
  '/v1/chat/completions': {
    toScene: toOpenaiScene,
    toReply: toOpenaiReply,
    stream: streamOpenai,
    errorOf: (status) => ({
      error: { message: `status ${status}`, type: ERROR_TYPES[status] ?? 'server_error' },
    }),
  },
}

const ERROR_TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  404: 'not_found_error',
  429: 'rate_limit_error',
  529: 'overloaded_error',
}

type State = {
  readonly options: ScriptedModelOptions
  readonly faults: ModelFault[]
  readonly requests: ModelRequestRecord[]
}

async function answer(request: Request, { options, faults, requests }: State): Promise<Response> {
  const path = new URL(request.url).pathname
  const wire = WIRES[path]
  if (wire === undefined || request.method !== 'POST')
    return Response.json({ error: 'no such route' }, { status: 404 })
  const body = toRecord(await request.json().catch(() => undefined))
  if (body === undefined) return Response.json(wire.errorOf(400), { status: 400 })

  const isAuthorized = options.apiKey === undefined || findKey(request) === options.apiKey
  const scene = wire.toScene(body)
  const isStreamed = body.stream === true
  const fault = faults.shift()
  requests.push({ path, isStreamed, isAuthorized, turn: scene.turn, fault: fault?.kind ?? null })
  if (!isAuthorized) return Response.json(wire.errorOf(401), { status: 401 })
  if (fault?.kind === 'status') return toFailure(wire, fault)
  if (fault?.kind === 'malformed') return new Response('data: {"type":\n\n', { headers: EVENT_STREAM })
  if (fault?.kind === 'hang') return await untilGone(request.signal)

  const play = playScript(options.scripts, scene)
  if (!isStreamed && fault === undefined) return Response.json(wire.toReply(play))
  const events = wire.stream(play)
  return new Response(toStream(events, fault?.kind === 'cut'), { headers: EVENT_STREAM })
}

const EVENT_STREAM = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' }

function findKey(request: Request): string | null {
  return (
    request.headers.get('x-api-key') ?? request.headers.get('authorization')?.replace(/^Bearer /, '') ?? null
  )
}

function toFailure(wire: Wire, fault: ModelFault & { readonly kind: 'status' }): Response {
  const headers =
    fault.retryAfterSeconds === undefined ? {} : { 'retry-after': String(fault.retryAfterSeconds) }
  return Response.json(wire.errorOf(fault.status), { status: fault.status, headers })
}

function untilGone(signal: AbortSignal): Promise<Response> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(new Response(null, { status: 499 })), { once: true })
  })
}

function toStream(events: readonly string[], isCut: boolean): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  const sent = isCut ? events.slice(0, Math.ceil(events.length / 2)) : events
  let next = 0
  return new ReadableStream({
    pull(controller) {
      const event = sent[next++]
      if (event !== undefined) controller.enqueue(encoder.encode(event))
      else if (isCut) controller.error(new Error('cut on purpose'))
      else controller.close()
    },
  })
}

function toRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined
}
