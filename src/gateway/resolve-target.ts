import { classifyAddress, type NetworkTarget } from '../platform/network-address.ts'
import type { ResolveHost } from '../platform/resolve-host.ts'
import type { DenialReason } from './contract.ts'

export type ResolvedTarget =
  | { readonly kind: 'resolved'; readonly addresses: readonly string[] }
  | { readonly kind: 'denied'; readonly reason: DenialReason }

const RESOLVE_TIMEOUT_MS = 10_000
const ADDRESS_COUNT_MAX = 16

/**
 * Resolves on the host and checks every address. The caller dials these addresses and resolves no more: a name
 * whose answer changes in between (DNS rebinding) gains nothing. One refused address refuses the target.
 */
export async function resolveTarget(
  resolve: ResolveHost,
  target: NetworkTarget,
  options: { readonly allowsPrivate: boolean; readonly signal: AbortSignal },
): Promise<ResolvedTarget> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(RESOLVE_TIMEOUT_MS)])
  let addresses: readonly string[]
  try {
    addresses = (await resolve(target.host, signal)).slice(0, ADDRESS_COUNT_MAX)
  } catch {
    // The sandbox learns that, not how, the host's resolver failed.
    return { kind: 'denied', reason: options.signal.aborted ? 'timed_out' : 'resolve_failed' }
  }
  if (addresses.length === 0) return { kind: 'denied', reason: 'resolve_failed' }
  const isFine = addresses.every((address) => {
    const found = classifyAddress(address)
    return found === 'public' || (found === 'private' && options.allowsPrivate)
  })
  return isFine ? { kind: 'resolved', addresses } : { kind: 'denied', reason: 'address_refused' }
}
