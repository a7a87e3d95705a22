import * as z from 'zod'
import { isId } from '../domain/id.ts'
import { listStatuses } from '../domain/status.ts'
import { BODY_CHARS_MAX, LABEL_COUNT_MAX, parseTicketKey, TITLE_CHARS_MAX } from '../domain/ticket.ts'
import { reasonSchema } from './reason.ts'
import {
  commaListSchema,
  cursorSchema,
  flagSchema,
  idSchema,
  instantSchema,
  jsonObjectSchema,
  pageCountSchema,
  textSchema,
} from './text.ts'

export const ticketStatusSchema = z.enum(listStatuses('ticket') as [TicketStatusWord, ...TicketStatusWord[]])
type TicketStatusWord = ReturnType<typeof listStatuses<'ticket'>>[number]

/** What names a ticket in a path or a body: its key (`WEB-12`) or its identifier. */
export const ticketRefSchema = z
  .string()
  .max(40)
  .refine(
    (text) => parseTicketKey(text) !== undefined || isId('ticket', text),
    'is not a ticket key such as WEB-12',
  )
  .meta({ description: 'Key (`WEB-12`) or identifier' })

export const ticketSchema = z
  .object({
    id: idSchema('ticket'),
    projectId: idSchema('project'),
    key: z.string().meta({ example: 'WEB-12' }),
    number: z.number().int(),
    title: z.string(),
    body: z.string(),
    type: z.string(),
    labels: z.array(z.string()).readonly(),
    priority: z.number().int().meta({ description: '1 is the most urgent, 5 the least' }),
    status: ticketStatusSchema,
    reason: reasonSchema.nullable(),
    detail: z.string().nullable(),
    workflow: z.string().nullable(),
    agent: z.string().nullable(),
    inputs: jsonObjectSchema,
    outputs: jsonObjectSchema.nullable(),
    notBefore: instantSchema.nullable().meta({ description: 'Not claimed before this instant' }),
    runCount: z.number().int(),
    currentRunId: idSchema('run').nullable(),
    branch: z.string().nullable(),
    pullRequestId: idSchema('pull_request').nullable(),
    deadAt: instantSchema.nullable().meta({ description: 'Set when every retry was used up' }),
    tracker: z.string().nullable().meta({ description: 'Tracker that it was mirrored from' }),
    externalId: z.string().nullable().meta({ description: 'What it is called in its tracker' }),
    createdBy: z.string(),
    createdAt: instantSchema,
    updatedAt: instantSchema,
    finishedAt: instantSchema.nullable(),
    version: z.number().int().meta({ description: 'Grows with each change; the ETag' }),
  })
  .meta({ id: 'Ticket' })
export type TicketBody = z.output<typeof ticketSchema>

const editable = {
  title: textSchema(TITLE_CHARS_MAX, 1),
  body: textSchema(BODY_CHARS_MAX).meta({
    description: 'Kept verbatim, control characters too; NUL is refused',
  }),
  type: textSchema(50, 1),
  labels: z.array(textSchema(100, 1)).max(LABEL_COUNT_MAX),
  priority: z.number().int().min(1).max(5),
  workflow: textSchema(200, 1).nullable(),
  agent: textSchema(200, 1).nullable(),
  inputs: jsonObjectSchema,
  notBefore: instantSchema,
  dependsOn: z.array(ticketRefSchema).max(200),
}

export const createTicketBody = z
  .strictObject({
    project: z.string().min(1).max(40).meta({ description: 'Key or identifier of the project' }),
    ...editable,
    isDraft: z.boolean().meta({ description: 'Not claimed until it is updated to `pending`' }),
  })
  .partial({
    body: true,
    type: true,
    labels: true,
    priority: true,
    workflow: true,
    agent: true,
    inputs: true,
    notBefore: true,
    dependsOn: true,
    isDraft: true,
  })
  .meta({ id: 'CreateTicket' })

export const updateTicketBody = z
  .strictObject({ ...editable, status: z.enum(['pending', 'draft']) })
  .partial()
  .meta({ id: 'UpdateTicket' })

export const cancelBody = z.strictObject({ detail: textSchema(2000).optional() }).meta({ id: 'Cancel' })

export const ticketPageSchema = z
  .object({ items: z.array(ticketSchema).readonly(), nextCursor: z.string().nullable() })
  .meta({ id: 'TicketPage' })

export const listTicketsQuery = z.strictObject({
  project: z.string().min(1).max(40).optional(),
  status: commaListSchema(ticketStatusSchema).optional(),
  label: commaListSchema(z.string().max(100)).optional(),
  type: commaListSchema(z.string().max(50)).optional(),
  text: textSchema(200, 1).optional().meta({ description: 'Words looked for in title and body' }),
  dead: flagSchema.optional().meta({ description: 'Only the dead letters, or none of them' }),
  cursor: cursorSchema.optional(),
  limit: pageCountSchema,
})

export const commentSchema = z
  .object({
    id: idSchema('comment'),
    ticketId: idSchema('ticket'),
    author: z.string(),
    body: z.string(),
    createdAt: instantSchema,
  })
  .meta({ id: 'Comment' })
export type CommentBody = z.output<typeof commentSchema>

export const commentListSchema = z
  .object({ items: z.array(commentSchema).readonly() })
  .meta({ id: 'CommentList' })
export const createCommentBody = z
  .strictObject({ body: textSchema(BODY_CHARS_MAX, 1) })
  .meta({ id: 'CreateComment' })

export const dependenciesSchema = z
  .object({
    dependsOn: z.array(ticketSchema).readonly(),
    dependents: z.array(ticketSchema).readonly(),
  })
  .meta({ id: 'Dependencies' })
export const setDependenciesBody = z
  .strictObject({ dependsOn: z.array(ticketRefSchema).max(200) })
  .meta({ id: 'SetDependencies' })

export const routeExplanationSchema = z
  .object({
    rules: z.array(z.object({ name: z.string(), isMatch: z.boolean(), why: z.string() })).readonly(),
    result: z.discriminatedUnion('kind', [
      z.object({
        kind: z.literal('routed'),
        workflow: z.string(),
        agent: z.string().nullable(),
        inputs: jsonObjectSchema,
        rule: z.string(),
      }),
      z.object({ kind: z.literal('unroutable'), detail: z.string() }),
    ]),
  })
  .meta({ id: 'RouteExplanation' })
