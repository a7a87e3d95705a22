import { OpenAPIHono } from '@hono/zod-openapi'
import type * as z from 'zod'
import type { CoordinatorControl } from '../coordinator/control.ts'
import type { RetryPolicy } from '../domain/retry.ts'
import { PROBLEM_CONTENT_TYPE } from '../rest-schema/problem.ts'
import type { AttemptLogs } from '../store/attempt-log.ts'
import type { Store } from '../store/contract.ts'
import { createAuthenticate, type Peer } from './authenticate.ts'
import { guardRequest, SECURITY_HEADERS } from './guard-request.ts'
import type { ApiMaintenance } from './maintenance/maintenance-port.ts'
import { type ApiEnv, mountOperation } from './mount-operation.ts'
import { listOperations } from './operations.ts'
import { ApiProblem, toApiProblem, toProblemBody } from './problem.ts'
import type { ApiRegistry } from './registry/registry-port.ts'

export type ApiDeps = {
  readonly store: Store
  readonly logs: AttemptLogs
  readonly control: CoordinatorControl
  /** Absent: agents and workflows can be read, not registered */
  readonly registry?: ApiRegistry
  /** Absent: nothing is removed, backed up or measured */
  readonly maintenance?: ApiMaintenance
  readonly clock: { now(): number }
  readonly randomBytes: (count: number) => Uint8Array
  readonly logger: ApiLogger
  readonly config: ApiConfig
}

export type ApiConfig = {
  /** Version of the package */
  readonly version: string
  /** Host names beside loopback under which the API answers, without port */
  readonly allowedHosts: readonly string[]
  /** Folder in which the paths of artifacts are looked up */
  readonly stateDirectory: string
  /** How whole runs of outside agents are repeated */
  readonly runRetry: RetryPolicy
  /** Age of the oldest pending ticket from which health says so while slots are free, `ms` */
  readonly pendingAgeMaxMs: number
}

export type ApiLogger = {
  debug(fields: Readonly<Record<string, unknown>>, fact: string): void
  warn(fields: Readonly<Record<string, unknown>>, fact: string): void
  error(fields: Readonly<Record<string, unknown>>, fact: string): void
}

export type Api = {
  /** Answers one request; never rejects. */
  fetch(request: Request, peer: Peer): Promise<Response>
  /** Ends every event stream and followed log, so that the server can close. May be called twice. */
  endStreams(): void
}

/** The REST API: every operation behind one set of checks. It opens nothing; a server of `platform` calls `fetch`. */
export function createApi(deps: ApiDeps): Api {
  const { store, clock, config, logger } = deps
  const streams = new AbortController()
  const app = new OpenAPIHono<ApiEnv>({ defaultHook: (result) => refuseInvalid(result) })
  const authenticate = createAuthenticate({
    read: store.read,
    write: store.write,
    now: () => clock.now(),
    onTrouble: (error) => logger.warn({ err: error }, 'the last use of a token was not recorded'),
  })
  for (const operation of listOperations(deps, streams.signal)) {
    mountOperation(app, operation, { write: store.write, authenticate })
  }
  app.get('/openapi.json', async (context) => {
    await authenticate(context.req.raw, context.env.peer)
    return context.json(describe(app, config.version))
  })
  app.notFound(() => {
    throw new ApiProblem(404, 'route_not_found', 'there is nothing at this address', {
      hint: 'the operations are listed at /openapi.json',
    })
  })
  app.onError((error) => toProblemResponse(toApiProblem(error)))

  async function answer(request: Request, peer: Peer): Promise<Response> {
    try {
      guardRequest(request, peer, config.allowedHosts)
      return await app.fetch(request, { peer })
    } catch (error) {
      return toProblemResponse(toApiProblem(error))
    }
  }

  return {
    async fetch(request, peer) {
      const requestId = Buffer.from(deps.randomBytes(8)).toString('hex')
      const startedAt = clock.now()
      const response = withHeaders(await answer(request, peer), requestId)
      const { method } = request
      const { pathname: path } = new URL(request.url)
      const facts = { requestId, method, path, status: response.status, durationMs: clock.now() - startedAt }
      const problem = problems.get(response)
      if (response.status >= 500) logger.error({ ...facts, err: problem?.cause }, 'a request failed')
      else logger.debug(facts, 'a request was answered')
      return response
    },
    endStreams: () => streams.abort(),
  }
}

/** Why an answer is what it is, for the log; the answer itself tells strangers nothing. */
const problems = new WeakMap<Response, ApiProblem>()

function toProblemResponse(problem: ApiProblem): Response {
  const response = new Response(JSON.stringify(toProblemBody(problem)), {
    status: problem.status,
    headers: { ...problem.headers, 'content-type': PROBLEM_CONTENT_TYPE },
  })
  problems.set(response, problem)
  return response
}

function withHeaders(response: Response, requestId: string): Response {
  const headers = new Headers(response.headers)
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) headers.set(name, value)
  headers.set('x-request-id', requestId)
  const { status, statusText } = response
  const copy = new Response(response.body, { status, statusText, headers })
  const problem = problems.get(response)
  if (problem !== undefined) problems.set(copy, problem)
  return copy
}

type Validation = { readonly target: string } & (
  | { readonly success: true }
  | { readonly success: false; readonly error: z.ZodError }
)

const PARTS: Readonly<Record<string, string>> = { json: 'body', param: 'path' }

/** Names every field that was refused; a body that is no fit is 422, everything else 400. */
function refuseInvalid(result: Validation): void {
  if (result.success) return
  const part = PARTS[result.target] ?? result.target
  const errors = result.error.issues.flatMap((issue) => toFieldErrors(issue, part))
  const detail = errors.map(({ pointer, message }) => `${part}${pointer}: ${message}`).join('; ')
  throw new ApiProblem(part === 'body' ? 422 : 400, 'invalid_request', detail.slice(0, 2000), { errors })
}

function toFieldErrors(issue: z.core.$ZodIssue, part: string) {
  const pointer = toPointer(issue.path)
  if (issue.code !== 'unrecognized_keys') return [{ in: part, pointer, message: issue.message }]
  return issue.keys.map((key) => ({
    in: part,
    pointer: toPointer([...issue.path, key]),
    message: `unknown field ${JSON.stringify(key)}`,
  }))
}

function toPointer(path: readonly PropertyKey[]): string {
  return path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

function describe(app: OpenAPIHono<ApiEnv>, version: string) {
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    description: 'A token `swm_…`; none is needed on the unix socket',
  })
  return app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Swarm',
      version,
      description:
        'Tickets, runs, pull requests and events of a Swarm coordinator. Problems follow RFC 9457.',
    },
  })
}
