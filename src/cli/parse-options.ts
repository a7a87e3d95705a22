import { DURATION_EXAMPLES, parseDurationMs } from '../platform/duration.ts'
import { CliError } from './cli-error.ts'
import { EXIT } from './exit-codes.ts'

/** Longest delay that a timer of the platform holds, `ms` */
const TIMER_MS_MAX = 2_147_483_647

/** `ms` of `--timeout`, `undefined` when it is not given. */
export function parseTimeout(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Math.min(parseDurationOption('--timeout', text), TIMER_MS_MAX)
}

/** `ms` of a duration such as `30s`. */
export function parseDurationOption(option: string, text: string): number {
  const durationMs = parseDurationMs(text)
  if (durationMs !== undefined && durationMs > 0) return durationMs
  throw new CliError(EXIT.usage, `${option} is no duration`, { hint: `write it as ${DURATION_EXAMPLES}` })
}

/** A whole number within bounds. */
export function parseCount(option: string, text: string, { min, max }: { min: number; max: number }): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  throw new CliError(EXIT.usage, `${option} expects a whole number from ${min} to ${max}`)
}

/** Options that may be given several times, or once with commas. */
export function collectWords(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, ...text.split(',').flatMap((word) => (word.trim() === '' ? [] : [word.trim()]))]
}

/** Options that may be given several times; commas are part of the value. */
export function collectTexts(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text]
}

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue }

/** `name=text` and `name:=json`, such as `--input branch=main --input deep:=true`. */
export function parseAssignments(
  option: string,
  assignments: readonly string[],
): { readonly [key: string]: JsonValue } {
  return Object.fromEntries(
    assignments.map((assignment) => {
      const match = /^([A-Za-z_][A-Za-z0-9_.-]*)(:?=)([\s\S]*)$/.exec(assignment)
      if (match?.[1] === undefined || match[3] === undefined) {
        throw new CliError(EXIT.usage, `${option} expects name=text or name:=json`)
      }
      return [match[1], match[2] === '=' ? match[3] : parseJson(option, match[1], match[3])]
    }),
  )
}

function parseJson(option: string, name: string, text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue
  } catch (cause) {
    throw new CliError(EXIT.usage, `${option} ${name} is not valid JSON`, { cause })
  }
}

/** ISO 8601 in UTC of an instant, or of a duration from now: `2026-01-31T08:00:00Z`, `2h`. */
export function parseInstant(option: string, text: string, nowMs: number): string {
  const durationMs = parseDurationMs(text)
  if (durationMs !== undefined) return new Date(nowMs + durationMs).toISOString()
  const instant = /^\d{4}-\d{2}-\d{2}/.test(text) ? new Date(text) : new Date(Number.NaN)
  if (!Number.isNaN(instant.getTime())) return instant.toISOString()
  throw new CliError(EXIT.usage, `${option} expects an instant or a duration`, {
    hint: 'write 2026-01-31T08:00:00Z, or 2h for two hours from now',
  })
}
