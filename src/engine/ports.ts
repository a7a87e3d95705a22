/** What the engine needs from around it; the composition root gives it. */
import type { AgentAdapter, AgentPackage } from '../agent/contract.ts'
import type { HostId } from '../domain/id.ts'
import type { Project } from '../domain/project.ts'
import type { Forge, ForgeProject } from '../forge/contract.ts'
import type { Gateway } from '../gateway/contract.ts'
import type { Logger } from '../platform/log.ts'
import type { SandboxDriver, SandboxLimits, Template } from '../sandbox/contract.ts'
import type { AttemptLogs } from '../store/attempt-log.ts'
import type { Store } from '../store/contract.ts'
import type { Tracker } from '../tracker/contract.ts'
import type { WarmSandboxes } from './warm-sandboxes.ts'

export type EngineDeps = {
  readonly store: Store
  readonly logs: AttemptLogs
  readonly sandboxes: SandboxSource
  readonly gateway: Gateway
  readonly agents: AgentCatalogue
  readonly forges: ForgeCatalogue
  readonly trackers: TrackerCatalogue
  readonly settings: EngineSettings
  readonly logger: Logger
  readonly random: RandomSource
}

/** Identity of the coordinator and the limits it works under. */
export type EngineSettings = {
  readonly hostId: HostId
  /** This start of the coordinator; every start is a new holder */
  readonly holder: string
  /** Absolute folder for doors, bundles and other short-lived files */
  readonly stateDir: string
  readonly limits: SandboxLimits
  /** Longest an attempt may take when its step says nothing, `ms` */
  readonly attemptTimeoutMs: number
  /** Time without renewal after which a sandbox kills itself, `ms` */
  readonly deadmanMs: number
  /** Step instances under way on this host at once */
  readonly slotCount: number
  readonly runRetry: RunRetry
}

/** How often a ticket gets a further run after its work did not pass. */
export type RunRetry = {
  readonly runCountMax: number
  readonly backoffMs: number
  readonly backoffMaxMs: number
}

export type SandboxSource = {
  readonly driver: SandboxDriver
  /** The template that sandboxes of this host are made from, prepared once. */
  template(signal: AbortSignal): Promise<Template>
  /** Those that are kept started ahead; the coordinator starts and stops it */
  readonly warm?: WarmSandboxes
}

export type AgentCatalogue = {
  /** The newest version when none is named. */
  find(name: string): Promise<{ adapter: AgentAdapter; package: AgentPackage } | undefined>
}

export type ForgeCatalogue = {
  /** The project's forge and how the forge knows it; `undefined` without a repository or such a forge. */
  find(project: Project): { forge: Forge; project: ForgeProject } | undefined
}

export type TrackerCatalogue = {
  /** By its name in the configuration; `undefined` when there is no such tracker (any more). */
  find(name: string): Tracker | undefined
}

export type RandomSource = {
  /** From 0 to below 1 */
  number(): number
  bytes(count: number): Uint8Array
}
