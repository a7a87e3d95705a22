import { join } from 'node:path'
import type { JsonObject } from '../domain/json.ts'
import type { TicketStatus } from '../domain/status.ts'
import type { PostgresLocation } from '../store/postgres-location.ts'
import type { TRACKER_COLUMNS } from './tracker-settings.ts'

/** The daemon's configuration, complete: every default filled in, every path absolute, no secret in it. */
export type Config = {
  /** Absolute directory that holds the store, sockets, mirrors, logs and sandboxes */
  readonly stateDir: string
  readonly store: StoreConfig
  /** What this machine is called among the hosts of a shared store; `null`: its host name */
  readonly hostName: string | null
  /** TCP address of the API beside its unix socket */
  readonly listen: ListenConfig
  /** Runs held at a time */
  readonly slotCount: number
  readonly sandbox: SandboxConfig
  readonly lease: LeaseConfig
  readonly retry: RetryConfig
  /** Time between looks for work when nothing wakes the poller, `ms` */
  readonly pollIntervalMs: number
  /** Where sandboxes may connect to, through the gateway; empty: nowhere */
  readonly egress: readonly EgressRule[]
  /** Model routes of the gateway, in the order of the file; names are unique */
  readonly models: readonly ModelConfig[]
  /** Ordered routing rules; the first that matches a ticket wins */
  readonly routes: readonly RouteConfig[]
  /** Forges by name; names are unique */
  readonly forges: readonly ForgeConfig[]
  /** Tickets databases of other programs, in the order of the file; names are unique */
  readonly trackers: readonly TrackerConfig[]
  readonly retention: RetentionConfig
  readonly log: LogConfig
}

export type StoreConfig =
  /** `path` is absolute */
  | { readonly kind: 'sqlite'; readonly path: string }
  | {
      readonly kind: 'postgres'
      readonly location: PostgresLocation
      /** `null`: `PGPASSWORD`, the password file, or none at all */
      readonly password: SecretReference | null
    }

export type ListenConfig = {
  readonly host: string
  /** 0: any free port; `null`: the unix socket only */
  readonly port: number | null
  /** Host names under which the API answers beside loopback, lower case, without port */
  readonly allowedHosts: readonly string[]
}

export const SANDBOX_DRIVERS = ['bubblewrap', 'none', 'fake'] as const
export type SandboxDriverName = (typeof SANDBOX_DRIVERS)[number]

/** Limits of one sandbox when an agent or step asks for nothing else. */
export type SandboxConfig = {
  readonly driver: SandboxDriverName
  readonly memoryMib: number
  readonly processCountMax: number
  readonly diskMib: number
  /** Longest life of an attempt's sandbox, `ms` */
  readonly timeoutMs: number
  /** Sandboxes that are kept started ahead of their tickets */
  readonly warmCount: number
}

export type LeaseConfig = {
  /** Time a holder may stay silent before its run is offered to others, `ms` */
  readonly ttlMs: number
  /** Time without a renewal after which a sandbox kills itself, `ms`; shorter than `ttlMs` */
  readonly deadmanMs: number
}

export type RetryConfig = {
  /** Runs begun for one ticket before it is a dead letter */
  readonly runCountMax: number
  /** Wait before the second run, `ms`; doubles with each further one */
  readonly backoffMs: number
  readonly backoffMaxMs: number
}

/** How long what has ended is kept, and how much of it; `null`: for ever. What has not ended is always kept. */
export type RetentionConfig = {
  /** Age of events, `ms` */
  readonly eventsMs: number | null
  /** Newest events that are kept at most */
  readonly eventCountMax: number | null
  /** Time since a ticket ended for which steps and attempts of its runs are kept, `ms` */
  readonly runsMs: number | null
  /** The same for output of attempts */
  readonly logsMs: number | null
  readonly logBytesMax: number | null
  readonly artifactsMs: number | null
  readonly artifactBytesMax: number | null
  /** The same for the names under which mirrors hold the work of attempts; unpushed work is kept under others */
  readonly workMs: number | null
}

export type EgressRule = {
  /** A host name, `*.` and a domain, or an IP address */
  readonly host: string
  readonly port: number
  /** Whether the host may resolve to a private or loopback address */
  readonly allowPrivate: boolean
}

export type ModelConfig = {
  readonly name: string
  readonly protocol: 'anthropic-messages' | 'openai-chat'
  /** Without a trailing slash and without `/v1/…` */
  readonly baseUrl: string
  /** Sent to the provider in place of the name that the agent wrote; `null` leaves it */
  readonly model: string | null
  /** `null`: the server wants none */
  readonly key: SecretReference | null
}

/** Where a secret is read from when the daemon starts; never the secret. */
export type SecretReference =
  | { readonly kind: 'env'; readonly variable: string }
  | { readonly kind: 'file'; readonly path: string }

export type RouteConfig = {
  readonly name: string
  /** All that are given must hold; none given: every ticket matches */
  readonly when: {
    /** Any of these types */
    readonly types: readonly string[] | null
    /** All of these labels */
    readonly labels: readonly string[] | null
    /** Any of these project keys */
    readonly projects: readonly string[] | null
    /** Part of the title, case ignored */
    readonly titleContains: string | null
  }
  /** `name` or `name@version` */
  readonly workflow: string
  readonly agent: string | null
  readonly inputs: JsonObject
}

export type ForgeConfig = {
  readonly name: string
  readonly kind: 'local' | 'git'
  /** User name sent with the credential */
  readonly username: string | null
  readonly credential: SecretReference | null
  /** Hosts that the credential is sent to, as in a URL: without the port where it is the scheme's own */
  readonly hosts: readonly string[]
}

/** What was written; the adapter has its own defaults for the rest. */
export type TrackerConfig = {
  readonly name: string
  readonly kind: 'sqlite-table'
  /** Absolute path of the file */
  readonly path: string
  /** Key of the project that mirrored tickets belong to */
  readonly project: string
  readonly table: string | null
  /** Column of each part that was named; `null`: the part has none */
  readonly columns: Readonly<Partial<Record<TrackerColumn, string | null>>>
  /** The tracker's words for each status that was named; none: never written */
  readonly statuses: Readonly<Partial<Record<TicketStatus, readonly string[]>>>
  readonly types: Readonly<Record<string, string>>
  readonly priorities: Readonly<Record<string, number>>
  readonly workflow: string | null
  readonly agent: string | null
  readonly labels: readonly string[]
  readonly pollIntervalMs: number
}
export type TrackerColumn = (typeof TRACKER_COLUMNS)[number]

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogConfig = {
  readonly level: (typeof LOG_LEVELS)[number]
  readonly format: 'json' | 'pretty'
}

/** The API's unix socket: owner only, always there while the daemon runs. */
export function apiSocketPathOf(config: Pick<Config, 'stateDir'>): string {
  return join(config.stateDir, 'api.sock')
}
