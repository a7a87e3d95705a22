import { z } from 'zod'
import { listStatuses, type TicketStatus } from '../domain/status.ts'
import { DURATION, TEXT, WORKFLOW_NAME } from './setting-types.ts'

/** Parts of a ticket that may have a column in a tracker's table, as the file spells them. */
export const TRACKER_COLUMNS = [
  'id',
  'status',
  'title',
  'body',
  'type',
  'priority',
  'labels',
  'workflow',
  'agent',
  'inputs',
  'created-at',
  'updated-at',
  'claimed-by',
  'result',
  'error',
  'branch',
  'pull-request',
] as const

/** A database may spell its states in numbers. */
const WORD = z.union([TEXT.max(200), z.number().int().transform(String)], { error: 'expects a word' })
const STATUS_WORDS = z.union([WORD.transform((word) => [word]), z.array(WORD).min(1)], {
  error: 'expects a word, a list of words, or null: never written',
})
/** `null`: the part has no column, whatever is there */
const COLUMN = TEXT.max(200).nullable()
const REQUIRED_COLUMN = TEXT.max(200)

function toShape<Name extends string, Schema extends z.ZodType>(names: readonly Name[], schema: Schema) {
  return Object.fromEntries(names.map((name) => [name, schema.optional()])) as Record<
    Name,
    z.ZodOptional<Schema>
  >
}

export const TRACKER = z.strictObject({
  kind: z.enum(['sqlite-table']),
  file: TEXT,
  project: z.string().regex(/^[A-Z][A-Z0-9]{1,9}$/, { error: "expects a project's key, such as WEB" }),
  table: TEXT.max(200).optional(),
  columns: z
    .strictObject({
      ...toShape(TRACKER_COLUMNS, COLUMN),
      ...toShape(['id', 'status', 'title'], REQUIRED_COLUMN),
    })
    .prefault({}),
  statuses: z
    .strictObject({
      ...toShape<TicketStatus, z.ZodNullable<typeof STATUS_WORDS>>(
        listStatuses('ticket'),
        STATUS_WORDS.nullable(),
      ),
      ...toShape(['pending'], STATUS_WORDS),
    })
    .prefault({}),
  types: z.record(z.string(), TEXT.max(50)).default({}),
  priorities: z.record(z.string(), z.number().int().min(1).max(5)).default({}),
  workflow: WORKFLOW_NAME.optional(),
  agent: TEXT.optional(),
  labels: z.array(TEXT.max(100)).max(50).default([]),
  poll: DURATION.default('5s'),
})

export type TrackerSettings = z.infer<typeof TRACKER>
