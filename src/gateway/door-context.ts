import type { ResolveHost } from '../platform/resolve-host.ts'
import type {
  DoorLimits,
  DoorPolicy,
  DoorUsage,
  ModelRoute,
  OperatorHostRule,
  PlaceholderRule,
} from './contract.ts'

/** What the operator allows every door, in canonical spelling. */
export type GatewayRules = {
  readonly hosts: readonly OperatorHostRule[]
  readonly models: ReadonlyMap<string, ModelRoute>
  readonly placeholders: readonly PlaceholderRule[]
}

/** What a request through one door is judged by. */
export type DoorContext = {
  readonly operatorHosts: readonly OperatorHostRule[]
  readonly askedHosts: DoorPolicy['hosts']
  /** The routes that this run may use */
  readonly models: ReadonlyMap<string, ModelRoute>
  readonly placeholders: readonly PlaceholderRule[]
  readonly limits: DoorLimits
  readonly resolve: ResolveHost
  usage(): DoorUsage
}
