import { isObject } from './findings.ts'
import { quote } from './foreign-name.ts'
import { ForeignStep, type StepKey } from './foreign-step.ts'
import { type StepContext, withKey } from './step-context.ts'
import { toDuration } from './to-duration.ts'

const RETRY_COUNT_MAX = 100

/** How often and after what time it is tried again; ours counts the attempts after the first. */
export function toRetry(step: ForeignStep, context: StepContext): Record<string, unknown> | undefined {
  const { findings } = context
  const said = step.take('retry')
  const inner = isObject(said) ? new ForeignStep(renameRetry(said), findings) : undefined
  const counted = inner?.take('retry') ?? (isObject(said) ? undefined : said)
  const attempts = inner?.take('attempts') ?? step.take('attempts')
  const keys: readonly StepKey[] = ['retryDelay', 'retryDelayMs', 'retryDelaySeconds']
  const backoff = toDuration(
    inner !== undefined && keys.some((key) => inner.has(key)) ? inner : step,
    keys,
    context,
  )
  const rest = inner?.listRest() ?? []
  if (rest.length > 0)
    findings.changes.push(`retry: left out ${rest.map(quote).join(', ')}; the delay doubles each time`)
  const max = counted ?? (typeof attempts === 'number' ? attempts - 1 : attempts)
  if (max === undefined || max === true) return backoff === undefined ? undefined : { backoff }
  if (max === false) return { max: 0 }
  if (typeof max !== 'number' || !Number.isInteger(max) || max < 0) {
    findings.problems.push('how often it is tried again is no whole number')
    return undefined
  }
  if (max > RETRY_COUNT_MAX) findings.changes.push(`retry: ${max} attempts are now ${RETRY_COUNT_MAX}`)
  return { max: Math.min(max, RETRY_COUNT_MAX), ...withKey('backoff', backoff) }
}

/** Inside `retry` the same words are shorter. */
function renameRetry(retry: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const longer: Readonly<Record<string, string>> = {
    max: 'retries',
    count: 'retries',
    limit: 'retries',
    delay: 'retry_delay',
    delay_ms: 'retry_delay_ms',
    delayMs: 'retry_delay_ms',
    delay_seconds: 'retry_delay_seconds',
  }
  return Object.fromEntries(
    Object.entries(retry).map(([key, value]) => {
      // A word such as "exponential" names a rule, not a time.
      if (key === 'backoff' && typeof value === 'string' && !/\d/.test(value)) return ['backoff_rule', value]
      return [Object.hasOwn(longer, key) ? longer[key] : key, value]
    }),
  )
}
