/** Names and versions of other registries as ours are written. */

/** Longest name, characters; an agent's has up to 63, a step's and a workflow's up to 64 */
const NAME_CHARS_MAX = 63

/**
 * Lower case, letters without marks, digits and single hyphens; `undefined` when nothing is left. Different names
 * may become one: the caller looks for that.
 * @param prefix for a name that does not begin with a letter, which ours must
 */
export function toOurName(name: string, prefix: string): string | undefined {
  const plain = name
    .slice(0, 1_000)
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
  const words = plain.replace(/^-/, '').replace(/-$/, '')
  if (words === '') return undefined
  const whole = /^[a-z]/.test(words) ? words : `${prefix}-${words}`
  return whole.slice(0, NAME_CHARS_MAX).replace(/-$/, '')
}

/** `1.2.0` of `v1.2` and `1.2.0`; `undefined` of what is no version. A build (`+…`) is no part of ours. */
export function toAgentVersion(version: string): string | undefined {
  const parts = VERSION.exec(version.trim())
  if (parts === null) return undefined
  const numbers = [parts[1], parts[2] ?? '0', parts[3] ?? '0'].join('.')
  return `${numbers}${parts[4] ?? ''}`
}

/** As `toAgentVersion`, with as many numbers as were written: `1`, `1.2`. */
export function toWorkflowVersion(version: string): string | undefined {
  const parts = VERSION.exec(version.trim())
  if (parts === null) return undefined
  const numbers = [parts[1], parts[2], parts[3]].filter((part) => part !== undefined).join('.')
  return `${numbers}${parts[4] ?? ''}`
}

const VERSION =
  /^[vV]?(\d{1,6})(?:\.(\d{1,6}))?(?:\.(\d{1,6}))?(-[0-9A-Za-z.-]{1,40})?(?:\+[0-9A-Za-z.-]{1,60})?$/

/** A foreign text in a sentence: quoted, control characters visible, cut. */
export function quote(text: string): string {
  return JSON.stringify(text.length > QUOTED_CHARS_MAX ? `${text.slice(0, QUOTED_CHARS_MAX)}…` : text)
}

const QUOTED_CHARS_MAX = 80
