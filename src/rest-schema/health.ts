import * as z from 'zod'
import { diskSchema } from './maintenance.ts'
import { instantSchema } from './text.ts'

export const probeSchema = z.object({ status: z.enum(['ok', 'failing']) }).meta({ id: 'Probe' })

export const healthSchema = z
  .object({
    status: z.enum(['ok', 'degraded', 'failing']).meta({
      description: '`degraded`: alive, but a check says no; `failing`: it does not live or takes no work',
    }),
    isLive: z.boolean(),
    isReady: z.boolean(),
    checks: z.array(z.object({ name: z.string(), ok: z.boolean(), detail: z.string() })).readonly(),
    figures: z.object({
      oldestPendingAgeMs: z
        .number()
        .nullable()
        .meta({ description: 'Age of the oldest claimable ticket or run' }),
      lastClaimAt: instantSchema.nullable(),
      lastRenewalAt: instantSchema.nullable(),
      lastCompletionAt: instantSchema.nullable(),
      heldRunCount: z.number().int(),
      slotCount: z.number().int(),
      eventLoopDelayMs: z.number(),
      deadEffectCount: z.number().int(),
      pendingEffectCount: z.number().int(),
      lastEventSeq: z.number().int(),
      ticketCounts: z.record(z.string(), z.number().int()),
      runCounts: z.record(z.string(), z.number().int()),
    }),
    sandbox: z.object({
      driver: z.string(),
      ok: z.boolean(),
      reason: z.string().nullable(),
      fix: z.string().nullable(),
      limits: z.enum(['hard', 'soft', 'none']),
      isolation: z.string(),
    }),
    disk: diskSchema.optional().meta({ description: 'Absent where there is no state directory' }),
  })
  .meta({ id: 'Health' })
export type HealthBody = z.output<typeof healthSchema>

export const versionSchema = z
  .object({ name: z.literal('swarm'), version: z.string(), api: z.literal('v1') })
  .meta({ id: 'Version' })
