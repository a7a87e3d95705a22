import * as z from 'zod'
import { EVENT_TYPES } from '../domain/event.ts'
import { commaListSchema, idSchema, instantSchema, jsonObjectSchema } from './text.ts'
import { ticketRefSchema } from './ticket.ts'

export const eventTypeSchema = z.enum(EVENT_TYPES)

export const eventSchema = z
  .object({
    seq: z.number().int().meta({ description: 'Place in the one sequence; the `id` of a server-sent event' }),
    at: instantSchema,
    type: z.string(),
    actor: z.string(),
    ticketId: idSchema('ticket').nullable(),
    runId: idSchema('run').nullable(),
    stepInstanceId: idSchema('step').nullable(),
    attempt: z.number().int().nullable(),
    data: jsonObjectSchema,
  })
  .meta({ id: 'Event' })
export type EventBody = z.output<typeof eventSchema>

export const eventPageSchema = z
  .object({
    items: z.array(eventSchema).readonly(),
    lastSeq: z.number().int().meta({ description: 'Go on with `after` set to this' }),
  })
  .meta({ id: 'EventPage' })

export const listEventsQuery = z.strictObject({
  after: z.coerce.number().int().min(0).optional().meta({
    description: 'Events after this place; a page begins at 0, a stream at now; `Last-Event-ID` wins',
  }),
  ticket: ticketRefSchema.optional(),
  run: idSchema('run').optional(),
  type: commaListSchema(eventTypeSchema, EVENT_TYPES.length).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(200),
})
