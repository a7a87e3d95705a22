import { ForgeError, type ForgeErrorCode } from './contract.ts'
import { toPrintableText } from './printable.ts'

const DETAIL_LENGTH_MAX = 2_000

/** What git's words (in the C locale) mean for us; the first that matches wins. */
const MEANINGS: readonly (readonly [ForgeErrorCode, RegExp])[] = [
  ['disk_full', /No space left on device|Disk quota exceeded|out of disk space/i],
  [
    'credential_refused',
    /could not read (Username|Password)|Authentication failed|Invalid username or|returned error: 40[13]\b|Permission denied \(|access denied|terminal prompts disabled/i,
  ],
  [
    'repository_refused',
    /dubious ownership|transport '[^']*' not allowed|Unable to find remote helper|returned error: 30\d|mismatched algorithms|does not support sha|Host key verification failed/i,
  ],
  [
    'network_failed',
    /Could not resolve|Failed to connect|Couldn't connect|Connection (refused|reset|timed out|closed)|early EOF|unexpected disconnect|hung up unexpectedly|RPC failed|returned error: (5\d\d|429)|SSL|certificate|Operation too slow|Network is unreachable|No route to host/i,
  ],
  [
    'repository_missing',
    /does not appear to be a git repository|not found|does not exist|couldn't find remote ref|Repository unavailable|not a git repository|no such (device|remote)|No such file or directory/i,
  ],
]

const ADVICE: Partial<Record<ForgeErrorCode, string>> = {
  credential_refused: "check the secret that the project's `credential` names",
  repository_refused: 'see the address and the owner of the repository',
  repository_missing: "check the project's repository address and default branch",
  disk_full: 'free some disk space',
}

/** Turns a failed git into the family's error. */
export function toForgeError(failure: {
  readonly attempt: string
  readonly code: number | null
  readonly stderr: string
}): ForgeError {
  const code = MEANINGS.find(([, pattern]) => pattern.test(failure.stderr))?.[0] ?? 'git_failed'
  const advice = ADVICE[code]
  const ended = failure.code === null ? 'was killed' : `ended with ${failure.code}`
  const words = toDetail(failure.stderr)
  return new ForgeError(
    code,
    `cannot ${failure.attempt}: git ${ended}${words === '' ? '' : `: ${words}`}${advice === undefined ? '' : ` (${advice})`}`,
  )
}

/** git's own words, bounded, printable, without logins. */
export function toDetail(words: string): string {
  return toPrintableText(new TextEncoder().encode(redact(words)))
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('hint:'))
    .join('; ')
    .slice(0, DETAIL_LENGTH_MAX)
}

function redact(text: string): string {
  return text
    .replace(/([a-z][a-z0-9+.-]*:\/\/)[^\s/@]*@/gi, '$1')
    .replace(/(authorization:\s*)\S+(\s+\S+)?/gi, '$1[redacted]')
}
