import { formatDuration, parseDuration } from '../../workflow/duration.ts'
import { quote } from './foreign-name.ts'
import type { ForeignStep, StepKey } from './foreign-step.ts'
import type { StepContext } from './step-context.ts'

/** A duration as ours are written, from the first of the keys that is there. */
export function toDuration(
  step: ForeignStep,
  keys: readonly StepKey[],
  { findings, durationUnit }: StepContext,
): string | undefined {
  const key = keys.find((each) => step.has(each))
  const value = key === undefined ? undefined : step.take(key)
  if (key === undefined || value === undefined) return undefined
  if (typeof value === 'string' && parseDuration(value) !== undefined) return value
  const count = typeof value === 'string' && /^\d{1,12}(\.\d{1,6})?$/.test(value) ? Number(value) : value
  const unit = key.endsWith('Ms')
    ? 'ms'
    : key.endsWith('Seconds')
      ? 's'
      : key.endsWith('Minutes')
        ? 'm'
        : durationUnit
  if (typeof count !== 'number' || !(count > 0)) {
    findings.problems.push(`${quote(key)} is no duration: write 30s, 10m or 1h30m`)
    return undefined
  }
  if (unit !== undefined) return formatDuration(count * UNIT_MS[unit])
  findings.problems.push(
    `${quote(key)} is ${count}, and nothing says of what: give --duration-unit ms, s or m`,
  )
  return undefined
}

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000 } as const
