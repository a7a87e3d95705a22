import * as z from 'zod'
import { instantSchema, textSchema } from './text.ts'

const count = z.number().int()
const removedSchema = z.object({ runCount: count, bytes: z.number() })

export const collectGarbageBody = z
  .strictObject({
    isDryRun: z.boolean().default(false).meta({ description: 'Says what would be removed, removes nothing' }),
  })
  .meta({ id: 'CollectGarbage' })

export const garbageReportSchema = z
  .object({
    isDryRun: z.boolean(),
    eventCount: count,
    runCount: count.meta({ description: 'Runs whose steps and attempts were removed; the runs stay' }),
    logs: removedSchema,
    artifacts: removedSchema,
    work: z.object({ deletedCount: count, parkedCount: count }).meta({
      description: 'Names of work in mirrors; parked: no pushed branch holds it, so it has another',
    }),
    compactedMirrorCount: count,
    packageCount: count.meta({ description: 'Copies of agent packages that no record named' }),
    durationMs: z.number(),
    problems: z.array(z.string()).readonly(),
  })
  .meta({ id: 'GarbageReport' })
export type GarbageReportBody = z.output<typeof garbageReportSchema>

export const createBackupBody = z
  .strictObject({
    path: textSchema(4096, 1).meta({
      description: "Absolute path on the daemon's host; must not exist, its parent must",
    }),
    hasLogs: z.boolean().default(true).meta({ description: 'Whether output of attempts is taken along' }),
  })
  .meta({ id: 'CreateBackup' })

export const backupReportSchema = z
  .object({
    path: z.string(),
    fileCount: count,
    bytes: z.number(),
    lastEventSeq: count,
    mirrorCount: count,
    createdAt: instantSchema,
    durationMs: z.number(),
  })
  .meta({ id: 'BackupReport' })
export type BackupReportBody = z.output<typeof backupReportSchema>

export const diskSchema = z
  .object({
    totalBytes: z.number(),
    freeBytes: z.number(),
    measuredAt: instantSchema
      .nullable()
      .meta({ description: 'Of the next; `null` until the first round of retention' }),
    bytesByKind: z.record(z.string(), z.number()),
  })
  .meta({ id: 'Disk' })
export type DiskBody = z.output<typeof diskSchema>
