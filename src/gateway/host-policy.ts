import { canonicalHost, type NetworkTarget } from '../platform/network-address.ts'
import { type DoorPolicy, GatewayTroubleError, type HostRule, type OperatorHostRule } from './contract.ts'

export type TargetVerdict = { readonly isAllowed: boolean; readonly allowsPrivate: boolean }

/** A target passes when the run asked for it and the operator allows it. */
export function judgeTarget(
  target: NetworkTarget,
  asked: DoorPolicy['hosts'],
  operator: readonly OperatorHostRule[],
): TargetVerdict {
  const allowing = operator.filter((rule) => isMatch(rule, target))
  const isAsked = asked === '*' || asked.some((rule) => isMatch(rule, target))
  return {
    isAllowed: isAsked && allowing.length > 0,
    allowsPrivate: allowing.some((rule) => rule.allowPrivate === true),
  }
}

/** Whether a target is one that the rule names. Both are in canonical spelling. */
export function isMatch(rule: HostRule, target: NetworkTarget): boolean {
  if (rule.port !== target.port) return false
  return rule.host.startsWith('*.') ? target.host.endsWith(rule.host.slice(1)) : target.host === rule.host
}

/**
 * The rule with its host in canonical spelling.
 * @throws GatewayTroubleError when it names no host, or permits private addresses by wildcard
 */
export function toCanonicalRule<Rule extends OperatorHostRule>(rule: Rule): Rule {
  const isWildcard = rule.host.startsWith('*.')
  const host = canonicalHost(isWildcard ? rule.host.slice(2) : rule.host)
  if (host === undefined || (isWildcard && !host.includes('.'))) {
    throw new GatewayTroubleError(
      'policy_invalid',
      `${JSON.stringify(rule.host)} in the allow-list is not a host name`,
    )
  }
  if (!Number.isInteger(rule.port) || rule.port < 1 || rule.port > 65_535) {
    throw new GatewayTroubleError('policy_invalid', `${rule.host} in the allow-list has no valid port`)
  }
  if (isWildcard && rule.allowPrivate === true) {
    throw new GatewayTroubleError(
      'policy_invalid',
      `${rule.host} in the allow-list: private addresses can be allowed for one exact host and port only`,
    )
  }
  return { ...rule, host: isWildcard ? `*.${host}` : host }
}
