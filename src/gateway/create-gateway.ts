import { type ResolveHost, resolveHost } from '../platform/resolve-host.ts'
import {
  type Gateway,
  GatewayTroubleError,
  type ModelRoute,
  type OperatorHostRule,
  type PlaceholderRule,
} from './contract.ts'
import type { GatewayRules } from './door-context.ts'
import { toCanonicalRule } from './host-policy.ts'
import { openDoor } from './open-door.ts'

export type GatewayOptions = {
  /** Targets that runs may reach at all; empty: none */
  readonly hosts: readonly OperatorHostRule[]
  readonly models: readonly ModelRoute[]
  readonly placeholders?: readonly PlaceholderRule[]
  /** `ms` since the epoch */
  readonly now: () => number
  /** The system's resolver when absent */
  readonly resolve?: ResolveHost
}

/**
 * The gateway of one coordinator.
 * @throws GatewayTroubleError when a rule or a model route is not valid
 */
export function createGateway(options: GatewayOptions): Gateway {
  const rules: GatewayRules = {
    hosts: options.hosts.map(toCanonicalRule),
    models: new Map(options.models.map((route) => [route.name, checkRoute(route)])),
    placeholders: (options.placeholders ?? []).map((rule) => ({
      ...rule,
      hosts: rule.hosts.map(toCanonicalRule),
    })),
  }
  const system = { now: options.now, resolve: options.resolve ?? resolveHost }
  return {
    openDoor: (request) => openDoor(rules, system, request),
    listModels: () => [...rules.models.keys()].sort(),
  }
}

function checkRoute(route: ModelRoute): ModelRoute {
  if (!/^[a-z0-9][a-z0-9._-]{0,63}$/.test(route.name)) {
    throw new GatewayTroubleError(
      'policy_invalid',
      `model ${JSON.stringify(route.name)}: a name has lower-case letters, digits, ".", "_" and "-"`,
    )
  }
  const url = URL.parse(route.baseUrl)
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '') {
    throw new GatewayTroubleError(
      'policy_invalid',
      `model ${route.name}: the base URL is an http or https address without credentials or query`,
    )
  }
  return route
}
