import type * as z from 'zod'
import type { AnswerOf, BodyInputOf, OperationSpec, QueryInputOf } from '../rest-schema/operation.ts'
import { ConnectionError, toApiError } from './api-error.ts'

export type FetchLike = (url: string, init: RequestInit) => Promise<Response>

export type Transport = {
  /** Where the API answers: `http://127.0.0.1:7377`; for a unix socket any host, the socket is in `fetch` */
  readonly baseUrl: string
  readonly token?: string | undefined
  readonly fetch: FetchLike
  /** Longest time of one call that is not a stream, `ms` */
  readonly timeoutMs: number
}

export type CallOptions = {
  readonly signal?: AbortSignal | undefined
  /** The same key and body again gives the same answer */
  readonly idempotencyKey?: string | undefined
}

export type CallInput<Spec extends OperationSpec> = CallOptions & {
  readonly ifMatch?: string | undefined
  readonly accept?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
} & (Spec extends { readonly params: infer S extends z.ZodType }
    ? { readonly params: z.input<S> }
    : unknown) &
  (Spec extends { readonly query: z.ZodType } ? { readonly query?: QueryOf<Spec> | undefined } : unknown) &
  (Spec extends { readonly body: z.ZodType } ? { readonly body: BodyInputOf<Spec> } : unknown)

/** Lists may be given as arrays; they travel comma-separated. */
type QueryOf<Spec> = { readonly [K in keyof QueryInputOf<Spec>]?: QueryValue }
export type QueryValue = string | number | boolean | readonly string[] | undefined

/**
 * Calls an operation and gives its parsed answer; a 204 is `undefined`.
 * @throws ApiError when the server says no, ConnectionError when it does not answer
 */
export async function call<const Spec extends OperationSpec & { answer: { schema: z.ZodType } }>(
  transport: Transport,
  spec: Spec,
  input: CallInput<Spec>,
): Promise<Answered<Spec>> {
  const timeout = AbortSignal.timeout(transport.timeoutMs)
  const signal = input.signal === undefined ? timeout : AbortSignal.any([input.signal, timeout])
  const response = await open(transport, spec, { ...input, signal })
  if (response.status === 204) return undefined as Answered<Spec>
  const parsed = spec.answer.schema.safeParse(await readJson(response, spec))
  if (!parsed.success) {
    const message = `the answer to ${spec.id} is not what this version understands: ${parsed.error.message}`
    throw new ConnectionError('answer_invalid', message, { cause: parsed.error })
  }
  return parsed.data as Answered<Spec>
}

export type Answered<Spec> = Spec extends { readonly answer: { readonly statuses: infer Statuses } }
  ? AnswerOf<Spec> | (204 extends (Statuses & readonly number[])[number] ? undefined : never)
  : never

/** Opens an operation and gives the raw answer, its body unread. */
export async function open<const Spec extends OperationSpec>(
  transport: Transport,
  spec: Spec,
  input: CallInput<Spec>,
): Promise<Response> {
  const url = toUrl(transport.baseUrl, spec, input)
  const response = await send(transport, url, toInit(transport, spec, input))
  if (!response.ok) throw await toApiError(response)
  return response
}

type LooseInput = CallOptions & {
  ifMatch?: string | undefined
  accept?: string | undefined
  headers?: Readonly<Record<string, string>> | undefined
  params?: unknown
  query?: unknown
  body?: unknown
}

function toUrl(baseUrl: string, spec: OperationSpec, input: LooseInput): string {
  const params = new Map(Object.entries(input.params ?? {}))
  const path = spec.path.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String(params.get(name))),
  )
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(input.query ?? {})) {
    if (value !== undefined) query.set(name, Array.isArray(value) ? value.join(',') : String(value))
  }
  const suffix = query.size === 0 ? '' : `?${query}`
  return `${baseUrl.replace(/\/$/, '')}${path}${suffix}`
}

function toInit(transport: Transport, spec: OperationSpec, input: LooseInput): RequestInit {
  const headers = new Headers(input.headers)
  headers.set('accept', input.accept ?? 'application/json, application/problem+json')
  if (transport.token !== undefined) headers.set('authorization', `Bearer ${transport.token}`)
  if (input.ifMatch !== undefined) headers.set('if-match', input.ifMatch)
  if (input.idempotencyKey !== undefined) headers.set('idempotency-key', input.idempotencyKey)
  const init: RequestInit = { method: spec.method.toUpperCase(), headers, redirect: 'error' }
  if (input.signal !== undefined) init.signal = input.signal
  if (spec.body !== undefined) {
    headers.set('content-type', 'application/json')
    init.body = JSON.stringify(input.body ?? {})
  }
  return init
}

async function send(transport: Transport, url: string, init: RequestInit): Promise<Response> {
  try {
    return await transport.fetch(url, init)
  } catch (error) {
    if (isTimeout(error)) throw toTimedOut(url, error)
    if (init.signal?.aborted === true) throw error
    throw new ConnectionError(
      'unreachable',
      `cannot reach ${transport.baseUrl}: is the coordinator running?`,
      {
        cause: error,
      },
    )
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'TimeoutError'
}

function toTimedOut(what: string, cause: unknown): ConnectionError {
  return new ConnectionError('timed_out', `no answer from ${what} in time`, { cause })
}

async function readJson(response: Response, spec: OperationSpec): Promise<unknown> {
  try {
    return await response.json()
  } catch (error) {
    if (isTimeout(error)) throw toTimedOut(spec.id, error)
    if (error instanceof DOMException) throw error
    if (error instanceof SyntaxError) {
      throw new ConnectionError('answer_invalid', `the answer to ${spec.id} is no JSON`, { cause: error })
    }
    throw new ConnectionError('unreachable', `the answer to ${spec.id} broke off`, { cause: error })
  }
}
