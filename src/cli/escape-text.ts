/**
 * Text from tickets, agents and repositories is not ours: shown raw it could move the cursor, rewrite what was
 * printed, or answer in the user's name. Here it becomes harmless and stays readable.
 */

/** C0, DEL and C1 controls, line and paragraph separators, and the marks that turn the writing direction. */
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g
const UNSAFE_BUT_LINES =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g
const UNSAFE_IN_JSON = /[\u007f-\u009f\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g
const COLOR_SEQUENCE = /\u001b\[[0-9;:]*m/g

/** One line: line ends and tabs become visible too. */
export function escapeLine(text: string): string {
  return text.replace(UNSAFE, toVisible)
}

/** Several lines: line ends and tabs stay. */
export function escapeLines(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(UNSAFE_BUT_LINES, toVisible)
}

/** Output of programs: as `escapeLines`, and their colours are left out. */
export function escapeProgramOutput(text: string): string {
  return escapeLines(text.replace(COLOR_SEQUENCE, ''))
}

/** JSON that reads back as the same value and holds no character that a terminal obeys. */
export function toSafeJson(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, null, indent) ?? 'null'
  return text.replace(UNSAFE_IN_JSON, (character) => `\\u${toHex(character, 4)}`)
}

function toVisible(character: string): string {
  if (character === '\n') return '\\n'
  if (character === '\t') return '\\t'
  if (character === '\r') return '\\r'
  const code = character.charCodeAt(0)
  return code < 0x100 ? `\\x${toHex(character, 2)}` : `\\u${toHex(character, 4)}`
}

function toHex(character: string, width: number): string {
  return character.charCodeAt(0).toString(16).padStart(width, '0')
}
