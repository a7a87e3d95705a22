import { z } from 'zod'
import { DURATION_EXAMPLES, parseDurationMs } from '../platform/duration.ts'
import type { RetentionConfig } from './config.ts'

/** Events are kept this long at least: a stream that was cut can go on from where it was, `ms` */
const EVENTS_MS_MIN = 60_000
const GIB = 1024 ** 3
const FOREVER = z.union([z.literal('forever'), z.null()])

const AGE_HINT = `expects an age with its unit (${DURATION_EXAMPLES}), or forever`
const AGE = toAge(1, AGE_HINT)
const EVENTS_AGE = toAge(EVENTS_MS_MIN, `${AGE_HINT}; 1m at least`)
const GIBIBYTES_HINT = 'expects a number of GiB, or forever'
const GIBIBYTES = z.union([z.number().min(0.001).max(1_048_576), FOREVER], {
  error: GIBIBYTES_HINT,
})

function toAge(msMin: number, error: string) {
  const isAge = (text: string) => text === 'forever' || (parseDurationMs(text) ?? 0) >= msMin
  return z.string({ error }).refine(isAge, { error }).nullable()
}

/** How long what has ended is kept, and how much of it. */
export const RETENTION = z.strictObject({
  events: EVENTS_AGE.default('90d'),
  'events-max': z
    .union([z.number().int().min(1_000).max(1_000_000_000), FOREVER], {
      error: 'expects a whole number from 1000, or forever',
    })
    .default(5_000_000),
  runs: AGE.default('180d'),
  logs: AGE.default('30d'),
  'logs-gib': GIBIBYTES.default(20),
  artifacts: AGE.default('90d'),
  'artifacts-gib': GIBIBYTES.default(20),
  work: AGE.default('30d'),
})

export function toRetention(settings: z.infer<typeof RETENTION>): RetentionConfig {
  return {
    eventsMs: toMs(settings.events),
    eventCountMax: toNumber(settings['events-max']),
    runsMs: toMs(settings.runs),
    logsMs: toMs(settings.logs),
    logBytesMax: toBytes(settings['logs-gib']),
    artifactsMs: toMs(settings.artifacts),
    artifactBytesMax: toBytes(settings['artifacts-gib']),
    workMs: toMs(settings.work),
  }
}

function toMs(age: string | null): number | null {
  return age === null || age === 'forever' ? null : (parseDurationMs(age) ?? null)
}

function toNumber(count: number | 'forever' | null): number | null {
  return typeof count === 'number' ? count : null
}

function toBytes(gib: number | 'forever' | null): number | null {
  return typeof gib === 'number' ? Math.round(gib * GIB) : null
}
