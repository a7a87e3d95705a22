/** Fields of a log line that are not among its facts */
const FRAME = new Set(['time', 'level', 'msg'])
/** What a terminal would act on instead of showing it, and what turns the direction of a text around */
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/** A structured log line for people: time of day, level, fact, then the fields. Holds no control character. */
export function toPrettyLine(line: string): string {
  let entry: Record<string, unknown>
  try {
    entry = JSON.parse(line)
  } catch {
    return `${printable(line.trimEnd())}\n`
  }
  const time = String(entry.time ?? '').slice(11, 19)
  const level = String(entry.level ?? '')
    .toUpperCase()
    .padEnd(5)
  const facts = Object.entries(entry)
    .filter(([name]) => !FRAME.has(name))
    .map(([name, value]) => `${name}=${toText(value)}`)
  return `${printable([time, level, String(entry.msg ?? ''), ...facts].join(' '))}\n`
}

/** Of an error its message: whoever needs the stack reads the log as JSON. */
function toText(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)
  const isError = typeof value === 'object' && value !== null && 'stack' in value && 'message' in value
  return JSON.stringify(isError ? value.message : value)
}

function printable(text: string): string {
  return text.replace(
    UNPRINTABLE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
