import type { OutgoingHttpHeaders } from 'node:http'
import type { NetworkTarget } from '../platform/network-address.ts'
import type { PlaceholderRule } from './contract.ts'
import { isMatch } from './host-policy.ts'

export type SwapResult =
  | { readonly kind: 'swapped'; readonly headers: OutgoingHttpHeaders; readonly secrets: readonly string[] }
  | { readonly kind: 'misused' }

/**
 * Replaces placeholders in header values (also inside Basic credentials) by their secrets, for the hosts of
 * each rule only. A placeholder on its way to any other host is misused: the request must not leave.
 * @param isSafe whether nobody on the way can read the headers (TLS, or a host the operator called in-house)
 */
export async function swapPlaceholders(
  headers: OutgoingHttpHeaders,
  target: NetworkTarget,
  options: { readonly rules: readonly PlaceholderRule[]; readonly isSafe: boolean },
): Promise<SwapResult> {
  const found = options.rules.filter((rule) =>
    Object.values(headers).some((value) => holds(value, rule.placeholder)),
  )
  if (found.length === 0) return { kind: 'swapped', headers, secrets: [] }
  const isAllowed = options.isSafe && found.every((rule) => rule.hosts.some((host) => isMatch(host, target)))
  if (!isAllowed) return { kind: 'misused' }

  let swapped = headers
  const secrets: string[] = []
  for (const rule of found) {
    const secret = await rule.secret.reveal()
    secrets.push(secret)
    swapped = Object.fromEntries(
      Object.entries(swapped).map(([name, value]) => [name, swap(value, rule.placeholder, secret)]),
    )
  }
  return { kind: 'swapped', headers: swapped, secrets }
}

type HeaderValue = OutgoingHttpHeaders[string]

function holds(value: HeaderValue, placeholder: string): boolean {
  return texts(value).some(
    (text) => text.includes(placeholder) || decodeBasic(text)?.includes(placeholder) === true,
  )
}

function swap(value: HeaderValue, placeholder: string, secret: string): HeaderValue {
  if (Array.isArray(value)) return value.map((text) => swapText(text, placeholder, secret))
  return typeof value === 'string' ? swapText(value, placeholder, secret) : value
}

function swapText(text: string, placeholder: string, secret: string): string {
  const pair = decodeBasic(text)
  if (pair?.includes(placeholder) === true) {
    return `Basic ${Buffer.from(pair.replaceAll(placeholder, () => secret)).toString('base64')}`
  }
  return text.replaceAll(placeholder, () => secret)
}

function texts(value: HeaderValue): readonly string[] {
  if (Array.isArray(value)) return value
  return typeof value === 'string' ? [value] : []
}

function decodeBasic(text: string): string | undefined {
  const credentials = /^basic +([A-Za-z0-9+/=]+)$/i.exec(text)?.[1]
  return credentials === undefined ? undefined : Buffer.from(credentials, 'base64').toString('utf8')
}
