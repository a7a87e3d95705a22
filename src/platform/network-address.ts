import { isIPv4, isIPv6 } from 'node:net'

/**
 * `public`: on the internet; `private`: loopback and private ranges, reachable only by explicit permission;
 * `forbidden`: link-local, cloud metadata, multicast, reserved and translated ranges, and whatever is not an
 * address.
 */
export type AddressClass = 'public' | 'private' | 'forbidden'

/** What kind of network an IP address is in. IPv4 inside IPv6 (mapped, NAT64) is judged as IPv4. */
export function classifyAddress(address: string): AddressClass {
  if (isIPv4(address)) return classifyIPv4(address.split('.').map(Number))
  if (!isIPv6(address) || address.includes('%')) return 'forbidden'
  const groups = toGroups(address)
  return groups === undefined ? 'forbidden' : classifyIPv6(groups)
}

/** A network address and a port, as a request names them. */
export type NetworkTarget = {
  /** Host name in lower case and ASCII, IPv4 in dotted form, or IPv6 without brackets */
  readonly host: string
  readonly port: number
}

/**
 * The target in its one spelling, so that `0x7f.1`, `2130706433` and `127.0.0.1` are the same host.
 * @param authority `host:port`; the port is required
 */
export function parseTarget(authority: string): NetworkTarget | undefined {
  const parts = /^(\[[0-9a-fA-F:.]+\]|[^[\]:@/?#\\\s%]+):(\d{1,5})$/.exec(authority)
  if (parts === null) return undefined
  const host = canonicalHost(parts[1] ?? '')
  const port = Number(parts[2])
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port }
}

/** The host in its one spelling, or `undefined` when it is none. IPv6 may come with or without brackets. */
export function canonicalHost(text: string): string | undefined {
  const bracketed = isIPv6(text) ? `[${text}]` : text
  const url = URL.parse(`http://${bracketed}/`)
  if (url === null || url.username !== '' || url.port !== '' || url.pathname !== '/') return undefined
  const host = url.hostname.replace(/\.$/, '')
  if (host.startsWith('[')) return host.slice(1, -1)
  return host === '' || host.length > 253 || !/^[a-z0-9._-]+$/.test(host) ? undefined : host
}

const METADATA_IPV4 = new Set(['169.254.169.254', '100.100.100.200', '168.63.129.16', '192.0.0.192'])

function classifyIPv4(bytes: readonly number[]): AddressClass {
  const [a = 0, b = 0, c = 0] = bytes
  if (METADATA_IPV4.has(bytes.join('.'))) return 'forbidden'
  if (a === 127 || a === 10) return 'private'
  if (a === 172 && b >= 16 && b <= 31) return 'private'
  if (a === 192 && b === 168) return 'private'
  if (a === 100 && b >= 64 && b <= 127) return 'private'
  if (a === 0 || a >= 224) return 'forbidden'
  if (a === 169 && b === 254) return 'forbidden'
  if (a === 192 && b === 0 && (c === 0 || c === 2)) return 'forbidden'
  if (a === 192 && b === 88 && c === 99) return 'forbidden'
  if (a === 198 && (b === 18 || b === 19)) return 'forbidden'
  if (a === 198 && b === 51 && c === 100) return 'forbidden'
  if (a === 203 && b === 0 && c === 113) return 'forbidden'
  return 'public'
}

const METADATA_IPV6 = 'fd00:ec2:0:0:0:0:0:254'

function classifyIPv6(groups: readonly number[]): AddressClass {
  const [a = 0, b = 0] = groups
  const isZeroUntil = (end: number) => groups.slice(0, end).every((group) => group === 0)
  if (isZeroUntil(7) && groups[7] === 1) return 'private'
  if (isZeroUntil(5) && groups[5] === 0xffff) return classifyIPv4(embeddedIPv4(groups))
  if (a === 0x64 && b === 0xff9b && groups.slice(2, 6).every((group) => group === 0)) {
    return classifyIPv4(embeddedIPv4(groups)) === 'public' ? 'public' : 'forbidden'
  }
  if (groups.map((group) => group.toString(16)).join(':') === METADATA_IPV6) return 'forbidden'
  if ((a & 0xfe00) === 0xfc00) return 'private'
  // Only 2000::/3 is given out; of it, drop Teredo and the other special uses, documentation and 6to4.
  if ((a & 0xe000) !== 0x2000) return 'forbidden'
  if (a === 0x2001 && (b < 0x200 || b === 0xdb8)) return 'forbidden'
  if (a === 0x2002 || (a === 0x3fff && b < 0x1000)) return 'forbidden'
  return 'public'
}

function embeddedIPv4(groups: readonly number[]): number[] {
  const [high = 0, low = 0] = groups.slice(6)
  return [high >> 8, high & 255, low >> 8, low & 255]
}

/** The eight groups; the URL parser has already turned a dotted tail into hexadecimal. */
function toGroups(address: string): number[] | undefined {
  const canonical = URL.parse(`http://[${address}]/`)?.hostname.slice(1, -1)
  if (canonical === undefined) return undefined
  const [head = '', tail] = canonical.split('::')
  const parse = (text: string) =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
  const left = parse(head)
  if (tail === undefined) return left
  const right = parse(tail)
  return [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right]
}
