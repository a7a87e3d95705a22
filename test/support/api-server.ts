import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Api, type ApiDeps, createApi } from '../../src/api/api.ts'
import type { ApiRegistry } from '../../src/api/registry/registry-port.ts'
import { createClient, type FetchLike, type SwarmClient } from '../../src/client/client.ts'
import type { CoordinatorControl, HealthReport } from '../../src/coordinator/control.ts'
import type { RunId } from '../../src/domain/id.ts'
import type { Scope } from '../../src/domain/records.ts'
import { createUnixFetch } from '../../src/platform/fetch-unix.ts'
import { type HttpServer, serveHttpOnTcp, serveHttpOnUnixSocket } from '../../src/platform/http-server.ts'
import type { AttemptLogs } from '../../src/store/attempt-log.ts'
import type { Store } from '../../src/store/contract.ts'
import { createLogFiles } from '../../src/store/log-files/log-files.ts'
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.ts'
import { createAnswerCheck } from './answer-check.ts'
import { createManualClock, type ManualClock } from './manual-clock.ts'

/** The real API over the real store, on a real unix socket and real TCP; only the coordinator is written by hand. */
export type ApiServer = AsyncDisposable & {
  readonly api: Api
  readonly deps: ApiDeps
  readonly store: Store
  readonly logs: AttemptLogs
  readonly clock: ManualClock
  readonly control: HandControl
  readonly directory: string
  readonly socketPath: string
  /** `http://127.0.0.1:…` */
  readonly url: string
  /** Over the unix socket, as the owner */
  readonly owner: SwarmClient
  readonly unixFetch: FetchLike
  /** Over TCP, with this secret */
  connect(token: string): SwarmClient
  /** Over TCP, with a new token of these scopes */
  connectAs(...scopes: Exclude<Scope, 'run'>[]): Promise<SwarmClient>
  /** Cuts every connection to the unix socket, as a network would */
  breakConnections(): void
  /** Lines of the API's log at `warn` and `error` */
  readonly troubles: readonly string[]
}

/** What the API told the coordinator, and what it says of itself; a test writes into `report`. */
export type HandControl = CoordinatorControl & {
  wakeCount: number
  readonly canceledRuns: RunId[]
  report: HealthReport
}

export type ApiServerOptions = {
  readonly createRegistry?: (store: Store, directory: string) => ApiRegistry
}

export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const directory = await mkdtemp(join(tmpdir(), 'swarm-api-'))
  const clock = createManualClock(Date.parse('2030-01-01T00:00:00Z'))
  const troubles: string[] = []
  const note = (fields: object, fact: string) => {
    troubles.push(`${fact} ${JSON.stringify(fields)}`)
  }
  const quiet = () => {}
  const logger = { debug: quiet, info: quiet, warn: note, error: note, child: () => logger }
  const store = await openSqliteStore({ path: ':memory:', clock, randomBytes: bytes, logger })
  const logs = createLogFiles({ directory: join(directory, 'logs'), clock })
  const control = createHandControl()
  const deps: ApiDeps = {
    store,
    logs,
    control,
    clock,
    randomBytes: bytes,
    logger,
    config: {
      version: '0.0.0-test',
      allowedHosts: ['swarm.example.org'],
      stateDirectory: directory,
      runRetry: {
        attemptCountMax: 2,
        backoffMs: 1_000,
        backoffMaxMs: 60_000,
        on: ['infrastructure', 'agent'],
      },
      pendingAgeMaxMs: 60_000,
    },
    ...(options.createRegistry === undefined ? {} : { registry: options.createRegistry(store, directory) }),
  }
  const api = createApi(deps)
  const socketPath = join(directory, 'api.sock')
  const handler = (request: Request, peer: Parameters<Api['fetch']>[1]) => api.fetch(request, peer)
  const unix = await serveHttpOnUnixSocket(handler, socketPath)
  const tcp = await serveHttpOnTcp(handler, { host: '127.0.0.1', port: 0 })
  let cut = new AbortController()
  const breakable: FetchLike = async (url, init) => {
    const broken = cut.signal
    const response = await createUnixFetch(socketPath)(url, init)
    return breakAt(response, broken)
  }
  const check = await createAnswerCheck(createUnixFetch(socketPath))
  const unixFetch = check(breakable)
  const owner = createClient({ baseUrl: 'http://localhost', fetch: unixFetch })
  const connect = (token: string) => createClient({ baseUrl: tcp.url, token, fetch: check(fetch) })
  return {
    api,
    deps,
    store,
    logs,
    clock,
    control,
    directory,
    socketPath,
    url: tcp.url,
    owner,
    unixFetch,
    troubles,
    breakConnections() {
      cut.abort(new Error('the connection was cut'))
      cut = new AbortController()
    },
    connect,
    async connectAs(...scopes) {
      const { secret } = await owner.tokens.create({ name: scopes.join('+'), scopes })
      return connect(secret)
    },
    async [Symbol.asyncDispose]() {
      api.endStreams()
      await closeAll([unix, tcp])
      await store.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** The answer, whose body breaks off when the signal aborts. */
function breakAt(response: Response, broken: AbortSignal): Response {
  if (response.body === null) return response
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  // The reader of `readable` sees the break.
  response.body.pipeTo(writable, { signal: broken }).catch(() => undefined)
  const { status, statusText, headers } = response
  return new Response(readable, { status, statusText, headers })
}

async function closeAll(servers: readonly HttpServer[]): Promise<void> {
  await Promise.all(servers.map((server) => server.close({ graceMs: 500 })))
}

function bytes(count: number): Uint8Array {
  return randomBytes(count)
}

/** A coordinator that has just started and has nothing to do. */
export const IDLE_REPORT: HealthReport = {
  isLive: true,
  isReady: true,
  checks: [],
  figures: {
    oldestPendingAgeMs: null,
    lastClaimAt: null,
    lastRenewalAt: null,
    lastCompletionAt: null,
    heldRunCount: 0,
    slotCount: 2,
    eventLoopDelayMs: 1,
    deadEffectCount: 0,
  },
  sandbox: { driver: 'fake', ok: true, reason: null, fix: null, limits: 'hard', isolation: 'none' },
}

function createHandControl(): HandControl {
  const control: HandControl = {
    wakeCount: 0,
    canceledRuns: [],
    report: IDLE_REPORT,
    wake: () => {
      control.wakeCount += 1
    },
    takeTicket: async () => ({ kind: 'taken' }),
    listTrackers: () => [],
    async explainRoute() {
      return {
        rules: [{ name: 'bugs', isMatch: false, why: 'the type is not bug' }],
        result: { kind: 'unroutable', detail: 'no rule matches' },
      }
    },
    health: async () => control.report,
    drain: async () => {},
    cancelRun: (runId) => {
      control.canceledRuns.push(runId)
    },
  }
  return control
}
