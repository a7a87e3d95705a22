import * as z from 'zod'

/** RFC 9457 problem details; `code` is stable and for programs, the rest is for people. */
export const problemSchema = z
  .object({
    type: z.string().meta({ description: 'URI reference of the kind of problem' }),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    code: z.string().meta({ description: 'Stable word for programs' }),
    hint: z.string().optional().meta({ description: 'What to do about it' }),
    errors: z
      .array(
        z.object({
          /** Where in the request: `body`, `query`, `path`, `header` */
          in: z.string(),
          /** JSON pointer within it */
          pointer: z.string(),
          message: z.string(),
        }),
      )
      .readonly()
      .optional()
      .meta({ description: 'Every field that was refused' }),
  })
  .meta({ id: 'Problem', description: 'Problem details (RFC 9457)' })
export type Problem = z.output<typeof problemSchema>

export const PROBLEM_CONTENT_TYPE = 'application/problem+json'
