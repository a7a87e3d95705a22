import * as z from 'zod'
import { reasonSchema } from './reason.ts'
import {
  commaListSchema,
  cursorSchema,
  idSchema,
  instantSchema,
  pageCountSchema,
  textSchema,
} from './text.ts'
import { ticketRefSchema } from './ticket.ts'

export const pullRequestSchema = z
  .object({
    id: idSchema('pull_request'),
    projectId: idSchema('project'),
    ticketId: idSchema('ticket'),
    runId: idSchema('run'),
    forge: z.string(),
    number: z.number().int(),
    title: z.string(),
    body: z.string(),
    branch: z.string(),
    baseBranch: z.string(),
    headCommit: z.string(),
    baseCommit: z.string(),
    mergeCommit: z.string().nullable(),
    status: z.enum(['open', 'merged', 'closed']),
    reviewState: z.enum(['none', 'approved', 'changes_requested']),
    isDiffTruncated: z.boolean(),
    additionCount: z.number().int(),
    deletionCount: z.number().int(),
    changedFiles: z.array(z.string()).readonly(),
    url: z.string().nullable(),
    createdAt: instantSchema,
    updatedAt: instantSchema,
    mergedAt: instantSchema.nullable(),
  })
  .meta({ id: 'PullRequest', description: 'Without its diff, which has its own address' })
export type PullRequestBody = z.output<typeof pullRequestSchema>

export const pullRequestPageSchema = z
  .object({ items: z.array(pullRequestSchema).readonly(), nextCursor: z.string().nullable() })
  .meta({ id: 'PullRequestPage' })
export const listPullRequestsQuery = z.strictObject({
  project: z.string().min(1).max(40).optional(),
  ticket: ticketRefSchema.optional(),
  status: commaListSchema(z.enum(['open', 'merged', 'closed'])).optional(),
  cursor: cursorSchema.optional(),
  limit: pageCountSchema,
})
export const pullRequestParams = z.strictObject({ pullRequestId: idSchema('pull_request') })

export const reviewBody = z
  .strictObject({ comment: textSchema(100_000, 1).optional() })
  .meta({ id: 'ReviewPullRequest' })
export const requestChangesBody = z
  .strictObject({ comment: textSchema(100_000, 1) })
  .meta({ id: 'RequestChanges', description: 'The comment goes to the agent of the next run' })

/** `waitMs`: how long the call waits for the forge; 0 asks and leaves */
export const effectBody = z
  .strictObject({
    waitMs: z.number().int().min(0).max(60_000).default(20_000).meta({
      description: 'How long to wait for the forge, `ms`; then the answer is 202 with `pending`',
    }),
  })
  .meta({ id: 'EffectWait' })

export const effectOutcomeSchema = z
  .object({
    outcome: z.enum(['done', 'refused', 'failed', 'pending']).meta({
      description:
        '`refused`: the forge said no (a conflict); `failed`: it could not be asked; `pending`: not yet',
    }),
    effectId: idSchema('effect').nullable(),
    reason: reasonSchema.nullable(),
    detail: z.string().nullable(),
    pullRequest: pullRequestSchema,
  })
  .meta({ id: 'EffectOutcome' })
export type EffectOutcomeBody = z.output<typeof effectOutcomeSchema>
