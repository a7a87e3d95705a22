import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import type { Context, MiddlewareHandler } from 'hono'
import * as z from 'zod'
import { eventSchema } from '../rest-schema/event.ts'
import type { AnswerSpec, OperationSpec } from '../rest-schema/operation.ts'
import { PROBLEM_CONTENT_TYPE, problemSchema } from '../rest-schema/problem.ts'
import type { StoreWriter } from '../store/contract.ts'
import type { Peer } from './authenticate.ts'
import { authorize, type Caller, NOBODY } from './caller.ts'
import { readIfMatch, toETag } from './etag.ts'
import { answerOnce, readIdempotencyKey } from './idempotency.ts'
import type { AnyAnswer, AnyInput, ApiOperation } from './operation.ts'
import { readBody } from './read-body.ts'

export type ApiEnv = { Bindings: { readonly peer: Peer }; Variables: { caller: Caller } }

export type MountDeps = {
  readonly write: StoreWriter
  readonly authenticate: (request: Request, peer: Peer) => Promise<Caller>
}

/** Adds the operation as a route: who asks, may he, is the request what the schema says, then the handler. */
export function mountOperation(
  app: OpenAPIHono<ApiEnv>,
  { spec, handler }: ApiOperation,
  { write, authenticate }: MountDeps,
): void {
  const admit: MiddlewareHandler<ApiEnv> = async (context, next) => {
    const caller = spec.scope === null ? NOBODY : await authenticate(context.req.raw, context.env.peer)
    authorize(caller, spec, context.req.param('runId'))
    context.set('caller', caller)
    await next()
  }
  const middleware = [admit, ...(spec.body === undefined ? [] : [readBody])]
  const route = createRoute({ ...toRouteConfig(spec), middleware })
  const answer = async (context: Context<ApiEnv>): Promise<Response> => {
    const input = toInput(spec, context, write)
    const key =
      spec.isIdempotent === true ? readIdempotencyKey(context.req.header('idempotency-key')) : undefined
    if (key === undefined) return toResponse(await handler(input))
    return toResponse(await answerOnce({ write, key, spec, input, handler }))
  }
  // The route's own types are erased with the spec's; `operation` has compared handler and answer.
  app.openapi(route, answer as never)
}

function toInput(spec: OperationSpec, context: Context<ApiEnv>, write: StoreWriter): AnyInput {
  const valid = (target: 'param' | 'query' | 'json', schema: unknown): unknown =>
    // The route declares the validator exactly when there is a schema.
    schema === undefined ? undefined : context.req.valid(target as never)
  return {
    params: valid('param', spec.params),
    query: valid('query', spec.query),
    body: valid('json', spec.body) as undefined,
    caller: context.get('caller'),
    write,
    change: (work) => work(write),
    expectedVersion: spec.needsIfMatch === true ? readIfMatch(context.req.header('if-match')) : undefined,
    headers: context.req.raw.headers,
    signal: context.req.raw.signal,
  }
}

/** Calls `after`: the change is committed by now. */
function toResponse(answer: AnyAnswer | Response): Response {
  if (answer instanceof Response) return answer
  if (answer.status === 204) return new Response(null, { status: 204 })
  answer.after?.()
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  if (answer.version !== undefined) headers.etag = toETag(answer.version)
  return new Response(JSON.stringify(answer.body), { status: answer.status, headers })
}

// ---------------------------------------------------------------- OpenAPI

const idempotencyHeader = z
  .string()
  .optional()
  .meta({ description: 'The same key and body again gives the same answer, for a day at least' })
const ifMatchHeader = z.string().meta({ description: 'The `ETag` that was read, or `*`' })

function toRouteConfig(spec: OperationSpec) {
  const headers = {
    ...(spec.isIdempotent === true ? { 'idempotency-key': idempotencyHeader } : {}),
    // Optional for the validator: a missing one has its own status, 428.
    ...(spec.needsIfMatch === true ? { 'if-match': ifMatchHeader.optional() } : {}),
  }
  return {
    operationId: spec.id,
    method: spec.method,
    path: spec.path,
    tags: [spec.tag],
    summary: spec.summary,
    ...(spec.description === undefined ? {} : { description: spec.description }),
    security: spec.scope === null ? [] : [{ bearer: [spec.scope] }],
    request: {
      ...(spec.params === undefined ? {} : { params: spec.params }),
      ...(spec.query === undefined ? {} : { query: spec.query }),
      ...(Object.keys(headers).length === 0 ? {} : { headers: z.object(headers) }),
      ...(spec.body === undefined
        ? {}
        : { body: { required: true, content: { 'application/json': { schema: spec.body } } } }),
    },
    responses: {
      ...Object.fromEntries(spec.answer.statuses.map((status) => [status, toAnswerConfig(spec, status)])),
      default: {
        description: 'Refused or failed',
        content: { [PROBLEM_CONTENT_TYPE]: { schema: problemSchema } },
      },
    },
  }
}

function toAnswerConfig(spec: OperationSpec, status: number) {
  const description = spec.summary
  if (status === 204) return { description: 'Nothing' }
  const headers =
    spec.hasETag === true ? { ETag: { schema: { type: 'string' as const }, description: 'Version' } } : {}
  return { description, headers, content: toContent(spec.answer) }
}

function toContent(answer: AnswerSpec) {
  if (answer.kind === 'json') return { 'application/json': { schema: answer.schema } }
  if (answer.kind === 'stream') {
    return Object.fromEntries(answer.contentTypes.map((type) => [type, { schema: z.string() }]))
  }
  return {
    'application/json': { schema: answer.schema },
    'text/event-stream': { schema: eventSchema },
  }
}
