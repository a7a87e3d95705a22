/** Asks the model through the gateway, and waits patiently: for a gateway that restarts, for a busy provider. */
import { setTimeout as delay } from 'node:timers/promises'
import { anthropicMessages } from './anthropic-messages.ts'
import { CoderFailure, type CoderReason } from './coder-failure.ts'
import type { Message, Reply, Tool } from './conversation.ts'
import { openaiChat } from './openai-chat.ts'
import { report } from './report.ts'

export type ModelQuestion = {
  readonly system: string
  readonly messages: readonly Message[]
  readonly tools: readonly Tool[]
}

/** One protocol: where to send a question, in which form, and how the streamed answer is read. */
export type ModelProtocol = {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  toBody(question: ModelQuestion, replyTokensMax: number): unknown
  /** @throws when the stream ends before the reply is complete */
  readReply(events: AsyncIterable<Record<string, unknown>>): Promise<Reply>
}

export type ModelClient = {
  readonly name: string
  ask(question: ModelQuestion): Promise<Reply>
}

export type ModelSettings = {
  readonly gateway: string
  readonly token: string
  readonly model: string | null
  readonly replyTokensMax: number
}

const PROTOCOLS: Readonly<Record<string, ModelProtocol>> = {
  'anthropic-messages': anthropicMessages,
  'openai-chat': openaiChat,
}

export async function createModelClient(settings: ModelSettings): Promise<ModelClient> {
  const route = await patiently(() => findRoute(settings))
  const protocol = PROTOCOLS[route.protocol]
  if (protocol === undefined) {
    throw new CoderFailure(
      'input_invalid',
      `the model route ${route.name} speaks ${route.protocol}, which coder does not`,
    )
  }
  return {
    name: route.name,
    ask: (question) => patiently(() => askOnce(settings, { name: route.name, protocol }, question)),
  }
}

/** Longest time without a usable answer, `ms`; the step is tried again later by Swarm, without holding a slot */
const PATIENCE_MS = 6 * 60_000
const WAIT_MS = { first: 500, longest: 20_000 }
/** A provider that asks for longer is not waited for here, `ms` */
const RETRY_AFTER_MS_MAX = 90_000
const ANSWER_TIMEOUT_MS = 12 * 60_000
const EVENT_BYTES_MAX = 16 * 1024 * 1024

/** Something that may be better in a moment. */
class Passing extends Error {
  readonly reason: CoderReason
  readonly retryAfterMs: number | null
  constructor(reason: CoderReason, message: string, retryAfterMs: number | null = null) {
    super(message)
    this.reason = reason
    this.retryAfterMs = retryAfterMs
  }
}

async function patiently<T>(work: () => Promise<T>): Promise<T> {
  const giveUpAt = Date.now() + PATIENCE_MS
  for (let waitMs = WAIT_MS.first; ; waitMs = Math.min(waitMs * 2, WAIT_MS.longest)) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof Passing)) throw error
      const nextMs = Math.max(error.retryAfterMs ?? 0, waitMs * (1 + Math.random() / 4))
      if ((error.retryAfterMs ?? 0) > RETRY_AFTER_MS_MAX || Date.now() + nextMs > giveUpAt) {
        throw new CoderFailure(error.reason, error.message, error.retryAfterMs)
      }
      report({ type: 'milestone', text: `waiting ${Math.round(nextMs)} ms: ${error.message}` })
      await delay(nextMs)
    }
  }
}

async function findRoute(settings: ModelSettings): Promise<{ name: string; protocol: string }> {
  const response = await fetchPassing(`${settings.gateway}/model/`, {
    headers: { authorization: `Bearer ${settings.token}` },
  })
  if (!response.ok) throw await toError(response)
  const { models } = (await response.json()) as { models: { name: string; protocol: string }[] }
  const wanted = settings.model ?? 'default'
  const route =
    models.find(({ name }) => name === wanted) ?? (settings.model === null ? models[0] : undefined)
  if (route !== undefined) return route
  const known = models.map(({ name }) => name).join(', ') || 'none'
  throw new CoderFailure(
    'input_invalid',
    `there is no model route ${wanted} for this run; there are: ${known}`,
  )
}

async function askOnce(
  settings: ModelSettings,
  { name, protocol }: { readonly name: string; readonly protocol: ModelProtocol },
  question: ModelQuestion,
): Promise<Reply> {
  const response = await fetchPassing(
    `${settings.gateway}/model/${encodeURIComponent(name)}${protocol.path}`,
    {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'text/event-stream',
        authorization: `Bearer ${settings.token}`,
        ...protocol.headers,
      },
      body: JSON.stringify(protocol.toBody(question, settings.replyTokensMax)),
    },
  )
  if (!response.ok) throw await toError(response)
  try {
    return await protocol.readReply(readEvents(response))
  } catch (error) {
    if (error instanceof CoderFailure) throw error
    throw new Passing('model_failed', `the model's answer broke off: ${describe(error)}`)
  }
}

async function fetchPassing(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) })
  } catch (error) {
    // Refused, reset: the coordinator restarts, and with it the gateway.
    throw new Passing('network_failed', `the gateway cannot be reached: ${describe(error)}`)
  }
}

/** Events of a stream (`data: {json}`), whatever the pieces they come in. */
async function* readEvents(response: Response): AsyncGenerator<Record<string, unknown>> {
  const decoder = new TextDecoder()
  let pending = ''
  for await (const chunk of response.body ?? []) {
    pending += decoder.decode(chunk as Uint8Array, { stream: true })
    const lines = pending.split('\n')
    pending = lines.pop() ?? ''
    if (pending.length > EVENT_BYTES_MAX) throw new Error('an event is too long')
    for (const line of lines) {
      const data = line.startsWith('data:') ? line.slice(5).trim() : ''
      if (data !== '' && data !== '[DONE]') yield JSON.parse(data) as Record<string, unknown>
    }
  }
}

async function toError(response: Response): Promise<Error> {
  const text = toProblem(await response.text().catch(() => '')).slice(0, 500)
  const retryAfterMs = toRetryAfterMs(response.headers.get('retry-after'))
  const refusal = response.headers.get('x-swarm-refusal')
  const message = `status ${response.status}${refusal === null ? '' : ` (${refusal})`}: ${text}`
  if (refusal === 'budget_spent') return new CoderFailure('budget', message)
  // Only the operator can mend it: waiting and further attempts would hide what is missing.
  if (refusal === 'model_key_missing') return new CoderFailure('input_invalid', message)
  if (refusal?.startsWith('token_')) return new CoderFailure('agent_failed', message)
  if (response.status === 429) return new Passing('model_rate_limited', message, retryAfterMs)
  if (response.status === 529 || response.status === 503)
    return new Passing('model_overloaded', message, retryAfterMs)
  if (response.status >= 500 || response.status === 408)
    return new Passing('model_failed', message, retryAfterMs)
  return new CoderFailure('model_failed', message)
}

/** The sentence in an error's body, in either protocol; else the body. */
function toProblem(body: string): string {
  try {
    const { error } = JSON.parse(body) as { error?: { message?: unknown } }
    if (typeof error?.message === 'string' && error.message !== '') return error.message
  } catch {
    // No JSON: a proxy's page, or an answer that was cut.
  }
  return body
}

function toRetryAfterMs(header: string | null): number | null {
  if (header === null) return null
  const seconds = Number(header)
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1_000)
  const at = Date.parse(header)
  return Number.isNaN(at) ? null : Math.max(0, at - Date.now())
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message
}
