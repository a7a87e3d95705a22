import { fileURLToPath } from 'node:url'
import { ForgeError } from './contract.ts'

/** Where a repository is, in the only forms that ever reach git. */
export type RepositoryAddress =
  /** A directory of this machine, absolute */
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'http'; readonly url: string; readonly protocol: 'http' | 'https' }
  | { readonly kind: 'ssh'; readonly url: string }

/**
 * Reads a repository's address and refuses what could make git do more than talk to a repository: remote helpers
 * (`ext::`, `fd::`), options in disguise, credentials in the address, control characters.
 * @throws ForgeError `repository_refused`
 */
export function parseRepositoryUrl(text: string): RepositoryAddress {
  if (text === '' || text.length > 2_000) throw refused('it is empty or longer than 2,000 characters')
  if (/[\u0000-\u001f\u007f-\u009f]/.test(text) || !text.isWellFormed()) {
    throw refused('it has control characters')
  }
  if (text.trim() !== text) throw refused('it begins or ends with white space')
  if (text.startsWith('-')) throw refused('it begins with a hyphen')
  if (/^[A-Za-z0-9+.-]*::/.test(text)) throw refused('remote helpers (`name::address`) are never used')
  if (text.startsWith('/')) return toFileAddress(text)
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text)?.[1]?.toLowerCase()
  if (scheme === undefined) return parseScpAddress(text)
  if (!URL.canParse(text)) throw refused('it is not a well-formed URL')
  const url = new URL(text)
  switch (scheme) {
    case 'file':
      return parseFileUrl(url)
    case 'http':
    case 'https':
      return parseHttpUrl(url, scheme)
    case 'ssh':
      return parseSshUrl(url)
    default:
      throw refused(`the scheme ${scheme} is not one of file, https, ssh`)
  }
}

function parseFileUrl(url: URL): RepositoryAddress {
  if (url.host !== '' && url.host !== 'localhost') throw refused('a file URL names no host')
  if (url.search !== '' || url.hash !== '') throw refused('a file URL has no query and no fragment')
  let path: string
  try {
    path = fileURLToPath(new URL(`file://${url.pathname}`))
  } catch (error) {
    throw refused(`it is not a well-formed file URL`, error)
  }
  if (/[\u0000-\u001f\u007f]/.test(path)) throw refused('it has control characters')
  return toFileAddress(path)
}

function toFileAddress(path: string): RepositoryAddress {
  if (path.startsWith('//')) throw refused('a path begins with one slash')
  if (path.split('/').includes('..')) throw refused('a path has no `..`')
  return { kind: 'file', path }
}

function parseHttpUrl(url: URL, protocol: 'http' | 'https'): RepositoryAddress {
  if (url.username !== '' || url.password !== '') {
    throw refused(
      "it holds a user name or password: store the login as a secret and name it in the project's `credential`",
    )
  }
  if (url.search !== '' || url.hash !== '') throw refused('it has a query or a fragment')
  if (url.pathname === '/') throw refused('it names no repository, only a host')
  if (protocol === 'http' && !isLoopback(url.hostname)) {
    throw refused('plain http is used to this machine only: use https')
  }
  return { kind: 'http', url: url.href, protocol }
}

function parseSshUrl(url: URL): RepositoryAddress {
  if (url.password !== '') throw refused("it holds a password: ssh logs in with the daemon user's keys")
  if (url.search !== '' || url.hash !== '') throw refused('it has a query or a fragment')
  if (url.pathname === '/' || url.pathname === '') throw refused('it names no repository, only a host')
  assertSshName(decodeURIComponent(url.username), url.hostname)
  return { kind: 'ssh', url: url.href }
}

/** `user@host:path`, as ssh users write it. */
function parseScpAddress(text: string): RepositoryAddress {
  const match = /^(?:([^@/:\s]+)@)?([^@/:\s]+):(?!\/\/)([^\s].*)$/.exec(text)
  if (match === null) throw refused('it is neither an absolute path nor a URL (file, https, ssh)')
  const [, user = '', host = '', path = ''] = match
  assertSshName(user, host)
  if (path.startsWith('-')) throw refused('its path begins with a hyphen')
  if (user === '' && host.length === 1) throw refused('it is neither an absolute path nor a URL')
  return { kind: 'ssh', url: text }
}

function assertSshName(user: string, host: string): void {
  if (!/^(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9a-fA-F:.]+\])$/.test(host)) throw refused('its host is malformed')
  if (user !== '' && !/^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/.test(user)) throw refused('its user name is malformed')
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname)
}

/** The address itself is not repeated: it may hold the very secret that it is refused for. */
function refused(why: string, cause?: unknown): ForgeError {
  return new ForgeError('repository_refused', `the repository address is refused: ${why}`, { cause })
}
