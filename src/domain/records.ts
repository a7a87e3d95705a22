import type {
  AgentId,
  ArtifactId,
  AttemptId,
  CommentId,
  HostId,
  RunId,
  SandboxId,
  StepInstanceId,
  TicketId,
  TokenId,
  WorkflowId,
} from './id.ts'
import type { JsonObject } from './json.ts'
import type { Reason } from './reason.ts'
import type { SandboxStatus } from './status.ts'

export type Comment = {
  readonly id: CommentId
  readonly ticketId: TicketId
  readonly author: string
  readonly body: string
  readonly createdAt: number
}

/** What the store knows of a sandbox; the driver's own record lies in the state directory. */
export type SandboxEntry = {
  readonly id: SandboxId
  readonly hostId: HostId
  readonly driver: string
  readonly runId: RunId
  readonly stepInstanceId: StepInstanceId
  readonly attemptId: AttemptId
  readonly status: SandboxStatus
  readonly reason: Reason | null
  readonly createdAt: number
  readonly endedAt: number | null
}

/** A machine with one coordinator. */
export type Host = {
  readonly id: HostId
  readonly name: string
  /** Identity of this start of the coordinator: every start is a new holder */
  readonly holder: string
  readonly pid: number
  readonly bootId: string
  readonly slotCount: number
  readonly startedAt: number
  readonly lastSeenAt: number
  readonly stoppedAt: number | null
}

/** A file kept from a run; the bytes lie in the state directory. */
export type Artifact = {
  readonly id: ArtifactId
  readonly runId: RunId
  readonly stepInstanceId: StepInstanceId
  readonly attempt: number
  readonly name: string
  readonly path: string
  readonly byteCount: number
  readonly sha256: string
  readonly createdAt: number
}

export const SCOPES = ['read', 'tickets', 'claim', 'review', 'admin', 'run'] as const
/**
 * `read`: see all; `tickets`: create, edit, cancel, comment; `claim`: hold runs as an outside agent;
 * `review`: approve, answer, merge; `admin`: everything; `run`: one run's own doors.
 */
export type Scope = (typeof SCOPES)[number]

/** A credential's record; the secret itself is never stored, only its SHA-256. */
export type Token = {
  readonly id: TokenId
  readonly name: string
  readonly scopes: readonly Scope[]
  /** Set for the credential of one run: it dies with the run */
  readonly runId: RunId | null
  readonly createdAt: number
  readonly expiresAt: number | null
  readonly revokedAt: number | null
  readonly lastUsedAt: number | null
}

export type AgentRecord = {
  readonly id: AgentId
  readonly name: string
  readonly version: string
  readonly manifest: JsonObject
  /** Folder of the package on this host */
  readonly path: string
  /** SHA-256 of the package's content */
  readonly digest: string
  readonly source: 'shipped' | 'registered'
  readonly createdAt: number
}

export type WorkflowRecord = {
  readonly id: WorkflowId
  readonly name: string
  readonly version: string
  /** The YAML as it was registered */
  readonly text: string
  readonly digest: string
  readonly source: 'shipped' | 'registered' | 'repository'
  readonly createdAt: number
}

/** What a model or a sandbox cost one attempt. */
export type Usage = {
  readonly runId: RunId
  readonly stepInstanceId: StepInstanceId | null
  readonly attempt: number | null
  readonly model: string | null
  readonly inputTokenCount: number
  readonly outputTokenCount: number
  /** Millionths of a US dollar; absent when the price is not known */
  readonly costMicroUsd: number | null
  readonly durationMs: number
  readonly createdAt: number
}
