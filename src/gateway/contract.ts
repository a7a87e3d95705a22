/**
 * The gateway is the only way out of a sandbox. Each run gets a door: a unix socket in a directory that is
 * bound into its sandbox. Through it go HTTP proxy requests (absolute form and CONNECT) to allowed hosts, and
 * model requests (`/model/<name>/…`; `GET /model/` lists the names) whose real key is added on the host. What a door lets through is the
 * intersection of what the run asks for (`DoorPolicy`) and what the operator allows (given to `createGateway`).
 */
export interface Gateway {
  /**
   * Listens on `<directory>/gateway.sock`. May be called again for the same directory, also by a restarted
   * coordinator: the socket file is replaced and a sandbox's next connection reaches the new door.
   * @throws GatewayTroubleError when the socket cannot be made
   */
  openDoor(request: DoorRequest): Promise<Door>

  /** Names of the configured model routes, sorted */
  listModels(): readonly string[]
}

export type DoorRequest = {
  readonly runId: string
  readonly ticketId: string
  /** SHA-256 of the run token, hexadecimal; see `hashRunToken` (run-token.ts) */
  readonly runTokenSha256: string
  /** Instant after which the run token opens nothing, `ms` since the epoch */
  readonly expiresAt: number
  /** Host directory in which `gateway.sock` is made; must exist, is not removed on close */
  readonly directory: string
  readonly policy: DoorPolicy
  /**
   * Called once per request, after it ended; must not throw. Of requests refused before they were looked at (token,
   * rate) only so many a minute are told, as an event is kept and a flood of them would fill the host's disk.
   */
  readonly onEvent: (event: GatewayEvent) => void
}

/** An open door. `close` (or `await using`) ends its connections and removes the socket; safe to call twice. */
export interface Door extends AsyncDisposable {
  readonly socketPath: string
  /** What went through since this door was opened */
  usage(): DoorUsage
  close(): Promise<void>
}

export type DoorPolicy = {
  /** Targets the run asks for, or `*` for all that the operator allows */
  readonly hosts: readonly HostRule[] | '*'
  /** Model routes the run asks for, or `*` */
  readonly models: readonly string[] | '*'
  readonly limits?: Partial<DoorLimits>
}

export type HostRule = {
  /** A host name, `*.` and a domain (not the domain itself), or an IP address */
  readonly host: string
  readonly port: number
}

/** A target the operator allows. */
export type OperatorHostRule = HostRule & {
  /**
   * Lets this exact host and port resolve to a private or loopback address (an in-house service).
   * Not with a wildcard. Link-local and cloud metadata addresses stay refused.
   */
  readonly allowPrivate?: boolean
}

export type DoorLimits = {
  readonly requestsPerMinute: number
  readonly concurrentRequests: number
  /** Largest request body, bytes */
  readonly requestBytesMax: number
  /** Largest response body, or bytes in each direction of one CONNECT tunnel */
  readonly responseBytesMax: number
  /** Longest request or tunnel, `ms` */
  readonly requestTimeoutMs: number
  /** Longest silence in a response or tunnel, `ms` */
  readonly idleTimeoutMs: number
  readonly connectTimeoutMs: number
  /** Tokens (input and output of all models) after which no further model request is let through; `null`: none */
  readonly tokensMax: number | null
}

export const DEFAULT_DOOR_LIMITS: DoorLimits = {
  requestsPerMinute: 600,
  concurrentRequests: 32,
  requestBytesMax: 32 * 1024 * 1024,
  responseBytesMax: 512 * 1024 * 1024,
  requestTimeoutMs: 15 * 60_000,
  idleTimeoutMs: 5 * 60_000,
  connectTimeoutMs: 15_000,
  tokensMax: null,
}

/** One request through a door: the only record of it; holds no header, path, query or body. */
export type GatewayEvent = {
  /** Start, `ms` since the epoch */
  readonly at: number
  readonly runId: string
  readonly ticketId: string
  readonly via: 'http' | 'connect' | 'model'
  readonly method: string
  readonly host: string
  readonly port: number
  /** Name of the model route, else `null` */
  readonly model: string | null
  /** What the other side answered (200 for a tunnel), or `null` when it never did */
  readonly status: number | null
  /** Why it was refused or ended early, or `null` */
  readonly denied: DenialReason | null
  /** Bytes from the sandbox, and to it */
  readonly requestBytes: number
  readonly responseBytes: number
  readonly durationMs: number
  /** What a model answer cost; estimated from the bytes when an answer began but told no usage */
  readonly tokens: (TokenCount & { readonly isEstimated: boolean }) | null
}

export const DENIAL_REASONS = [
  'token_missing',
  'token_wrong',
  'token_expired',
  'target_invalid',
  'host_not_allowed',
  'address_refused',
  'resolve_failed',
  'connect_failed',
  'model_unknown',
  'model_route_unknown',
  'model_key_missing',
  'placeholder_misused',
  'rate_limited',
  'too_many_requests_at_once',
  'request_too_large',
  'response_too_large',
  'request_invalid',
  'budget_spent',
  'timed_out',
  'upstream_failed',
  'closed',
] as const
export type DenialReason = (typeof DENIAL_REASONS)[number]

export type TokenCount = {
  readonly inputTokens: number
  readonly outputTokens: number
  /** Part of the input that was read from the provider's cache */
  readonly cachedInputTokens: number
}

export type DoorUsage = TokenCount & { readonly requestCount: number; readonly deniedCount: number }

/** A secret that can be used but neither printed nor serialised (`toJSON` gives no secret). */
export interface SecretHolder {
  reveal(): string | Promise<string>
}

export type ModelProtocol = 'anthropic-messages' | 'openai-chat'

/** A model route as the operator configures it. */
export type ModelRoute = {
  readonly name: string
  readonly protocol: ModelProtocol
  /** Base of the provider's address, without `/v1/…`: `https://api.anthropic.com` */
  readonly baseUrl: string
  /** Added on the host; `null` for a server that wants none */
  readonly apiKey: SecretHolder | null
  /** Model name sent to the provider in place of the one the agent wrote; `null` leaves it */
  readonly upstreamModel: string | null
}

/** A stand-in that an agent holds in place of a secret, replaced in request headers to these hosts only. */
export type PlaceholderRule = {
  readonly placeholder: string
  readonly hosts: readonly HostRule[]
  readonly secret: SecretHolder
}

/** The gateway could not open a door. */
export class GatewayTroubleError extends Error {
  readonly code: 'socket_failed' | 'policy_invalid'

  constructor(code: GatewayTroubleError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'GatewayTroubleError'
    this.code = code
  }
}
