import type { AgentFailure } from '../agent/contract.ts'
import type { SandboxId } from '../domain/id.ts'
import type { JsonObject } from '../domain/json.ts'
import type { LeaseProof } from '../domain/run.ts'
import type { Attempt, StepInstance } from '../domain/step.ts'
import type { Logger } from '../platform/log.ts'
import type { ExecExit } from '../sandbox/contract.ts'
import type { RunState } from '../store/contract.ts'
import type { StepWork } from '../workflow/step-work.ts'
import type { Step, Workflow } from '../workflow/workflow.ts'
import type { EngineDeps } from './ports.ts'

/** One attempt of one step instance and all that it is about. */
export type AttemptContext = {
  readonly deps: EngineDeps
  readonly proof: LeaseProof
  /** As it was when the attempt started or was picked up again */
  readonly state: RunState
  readonly workflow: Workflow
  readonly step: Step
  readonly instance: StepInstance
  readonly attempt: Attempt
  readonly work: SandboxWork
  readonly logger: Logger
}

/** The kinds of work that need a sandbox. */
export type SandboxWork = Extract<StepWork, { kind: 'agent' | 'run' | 'verify' }>

/** Whether this work is done in a sandbox; everything else is a wait or an effect. */
export function isSandboxWork(work: StepWork): work is SandboxWork {
  return work.kind === 'agent' || work.kind === 'run' || work.kind === 'verify'
}

/** What another process needs to go on with the attempt; kept in the store as JSON. */
export type AttemptHandle = {
  readonly sandboxId: SandboxId
  readonly driver: string
  /** SHA-256 of the run token, hexadecimal; the token itself is known inside the sandbox only */
  readonly runTokenSha256: string
  /** Commands that ended, in order */
  readonly ended: readonly EndedCommand[]
  /** Bytes of the attempt's log when the present command began, per stream */
  readonly stdoutBase: number
  readonly stderrBase: number
  /** Last failure that the agent printed before this note was taken */
  readonly failure: AgentFailure | null
  /** What a reviewer should look at in the work that was brought home, one line each */
  readonly findings: readonly string[]
}

export type EndedCommand = ExecExit & {
  readonly execId: string
  /** `ms` */
  readonly durationMs: number
  /** End of what it printed, for people */
  readonly tail: string
  /** End of its standard output, of a `run` step only: other steps may refer to it */
  readonly stdout: string
}

export function parseHandle(handle: JsonObject | null): AttemptHandle | undefined {
  // Written by this folder only, in the same shape; the store keeps it as it was.
  return handle === null ? undefined : (handle as unknown as AttemptHandle)
}

export function toHandleJson(handle: AttemptHandle): JsonObject {
  return JSON.parse(JSON.stringify(handle)) as JsonObject
}
