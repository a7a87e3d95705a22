import * as z from 'zod'
import { reasonSchema } from './reason.ts'
import { instantSchema } from './text.ts'
import { ticketStatusSchema } from './ticket.ts'

const noteSchema = z.object({
  externalId: z.string().nullable().meta({ description: 'Absent: it concerns the whole tracker' }),
  severity: z.enum(['refused', 'note']),
  problem: z.string(),
  fix: z.string().nullable(),
})

const untoldSchema = z.object({
  ticketKey: z.string(),
  externalId: z.string(),
  ticketStatus: ticketStatusSchema,
  reason: reasonSchema.nullable(),
  detail: z.string().nullable(),
})

export const trackerSchema = z
  .object({
    name: z.string(),
    kind: z.string().meta({ example: 'sqlite-table' }),
    project: z.string().meta({ description: 'Key of the project that its tickets belong to' }),
    isOk: z.boolean().meta({ description: '`false`: it needs a person' }),
    problem: z.string().nullable().meta({ description: 'What keeps it from being mirrored now' }),
    failureCount: z.number().int().meta({ description: 'Looks in a row that did not come through' }),
    lastPollAt: instantSchema.nullable().meta({ description: 'The last look that came through' }),
    openThereCount: z.number().int().meta({ description: 'Tickets that stood open there then' }),
    openHereCount: z.number().int().meta({ description: 'Mirrored tickets that were not ended here then' }),
    mirroredCount: z.number().int().meta({ description: 'New tickets since the coordinator started' }),
    notes: z.array(noteSchema).readonly().meta({ description: 'The first rows that are not mirrored' }),
    noteCount: z.number().int(),
    untold: z.array(untoldSchema).readonly().meta({
      description: 'Tickets whose present state was given up being written back',
    }),
  })
  .meta({ id: 'Tracker', description: 'A tickets database of another program, since this start' })

export const trackerListSchema = z
  .object({ items: z.array(trackerSchema).readonly() })
  .meta({ id: 'TrackerList' })
