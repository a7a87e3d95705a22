import type { NetworkTarget } from '../platform/network-address.ts'
import type { DenialReason } from './contract.ts'
import type { DoorContext } from './door-context.ts'
import type { Exchange } from './exchange.ts'
import { judgeTarget } from './host-policy.ts'
import type { Refusal } from './refusal.ts'
import { resolveTarget } from './resolve-target.ts'

export type AdmittedTarget =
  | { readonly kind: 'admitted'; readonly addresses: readonly string[]; readonly allowsPrivate: boolean }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

/** The addresses to dial for a target that the policy lets through. Unlisted names are not even resolved. */
export async function admitTarget(
  door: DoorContext,
  exchange: Exchange,
  target: NetworkTarget,
): Promise<AdmittedTarget> {
  exchange.target = target
  const name = `${target.host}:${target.port}`
  const refused = (reason: DenialReason, message: string): AdmittedTarget => {
    return { kind: 'refused', refusal: { reason, via: exchange.via, message } }
  }
  const verdict = judgeTarget(target, door.askedHosts, door.operatorHosts)
  if (!verdict.isAllowed) return refused('host_not_allowed', `${name} is not in the allow-list of this run`)

  const found = await resolveTarget(door.resolve, target, {
    allowsPrivate: verdict.allowsPrivate,
    signal: exchange.signal,
  })
  if (found.kind === 'denied')
    return refused(found.reason, `${name}: ${MESSAGES[found.reason] ?? found.reason}`)
  return { kind: 'admitted', addresses: found.addresses, allowsPrivate: verdict.allowsPrivate }
}

const MESSAGES: Partial<Record<DenialReason, string>> = {
  address_refused: 'the name leads to a private, link-local or reserved address',
  resolve_failed: 'the name could not be resolved',
  timed_out: 'the name was not resolved in time',
}
