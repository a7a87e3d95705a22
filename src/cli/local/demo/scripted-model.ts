import type { IncomingMessage, ServerResponse } from 'node:http'
import { serveHttpOnLoopback } from '../../../platform/http-loopback-server.ts'
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
  const state = { options, faults, requests }
  const server = await serveHttpOnLoopback((request, response) => {
    answer(request, response, state).catch(() => response.destroy())
  }, options.port ?? 0)
  return {
    url: server.url,
    requests,
    failNext: (...added) => void faults.push(...added),
    close: server.close,
    [Symbol.asyncDispose]: server.close,
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

async function answer(request: IncomingMessage, response: ServerResponse, state: State): Promise<void> {
  const path = (request.url ?? '').split('?')[0] ?? ''
  const wire = WIRES[path]
  if (wire === undefined || request.method !== 'POST')
    return sendJson(response, 404, { error: 'no such route' })
  const body = await readBody(request)
  if (body === undefined) return sendJson(response, 400, wire.errorOf(400))

  const { apiKey, scripts } = state.options
  const isAuthorized = apiKey === undefined || findKey(request) === apiKey
  const scene = wire.toScene(body)
  const isStreamed = body.stream === true
  const fault = state.faults.shift()
  state.requests.push({ path, isStreamed, isAuthorized, turn: scene.turn, fault: fault?.kind ?? null })
  if (!isAuthorized) return sendJson(response, 401, wire.errorOf(401))
  const play = playScript(scripts, scene)
  switch (fault?.kind) {
    case 'status':
      if (fault.retryAfterSeconds !== undefined) response.setHeader('retry-after', fault.retryAfterSeconds)
      return sendJson(response, fault.status, wire.errorOf(fault.status))
    case 'hang':
      return
    case 'malformed':
      return sendEvents(response, ['data: {"type":\n\n'])
    case 'cut':
      return sendHalf(response, wire.stream(play))
    case undefined:
      return isStreamed
        ? sendEvents(response, wire.stream(play))
        : sendJson(response, 200, wire.toReply(play))
  }
}

const BODY_BYTES_MAX = 64 * 1024 * 1024

async function readBody(request: IncomingMessage): Promise<Record<string, unknown> | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > BODY_BYTES_MAX) return undefined
    chunks.push(chunk)
  }
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function findKey({ headers }: IncomingMessage): string | undefined {
  return headers['x-api-key']?.toString() ?? headers.authorization?.replace(/^Bearer /, '')
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

function sendEvents(response: ServerResponse, events: readonly string[]): void {
  response.writeHead(200, EVENT_STREAM)
  for (const event of events) response.write(event)
  response.end()
}

/** The connection goes down once the first half is really on its way. */
function sendHalf(response: ServerResponse, events: readonly string[]): void {
  response.writeHead(200, EVENT_STREAM)
  response.write(events.slice(0, Math.ceil(events.length / 2)).join(''), () => {
    setTimeout(() => response.destroy(), CUT_AFTER_MS)
  })
}

const EVENT_STREAM = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' }
const CUT_AFTER_MS = 20
