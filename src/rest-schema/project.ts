import * as z from 'zod'
import { isProjectKey } from '../domain/project.ts'
import { idSchema, instantSchema, jsonObjectSchema, textSchema } from './text.ts'

export const projectKeySchema = z
  .string()
  .max(10)
  .refine(isProjectKey, 'is not 2 to 10 upper-case letters and digits, a letter first')
  .meta({ description: 'Word before the number in a ticket key: `WEB` in `WEB-12`' })

export const projectSchema = z
  .object({
    id: idSchema('project'),
    key: z.string(),
    name: z.string(),
    repositoryUrl: z.string().nullable(),
    forge: z.string(),
    defaultBranch: z.string(),
    defaultWorkflow: z.string().nullable(),
    settings: jsonObjectSchema,
    ticketCount: z.number().int(),
    createdAt: instantSchema,
    updatedAt: instantSchema,
    version: z.number().int().meta({ description: 'Grows with each edit; the ETag' }),
  })
  .meta({ id: 'Project' })
export type ProjectBody = z.output<typeof projectSchema>

/** What git would take for an option or a program, and what would put a secret into the database, stays out. */
function isPlainAddress(text: string): boolean {
  if (text.startsWith('-') || /^[a-z0-9+.-]+::/i.test(text) || /[\u0000-\u001f]/.test(text)) return false
  const url = URL.parse(text)
  if (url === null) return true
  return url.password === '' && (url.username === '' || url.protocol === 'ssh:')
}

const editable = {
  name: textSchema(200, 1),
  repositoryUrl: textSchema(2000, 1)
    .refine(
      isPlainAddress,
      'is no plain path or URL: it begins with -, names a helper, or carries credentials',
    )
    .nullable()
    .meta({ description: 'Path or URL without credentials; `null` for tickets that need no repository' }),
  forge: textSchema(50, 1).meta({ description: 'Name of a configured forge: `local`, `git` …' }),
  defaultBranch: textSchema(200, 1),
  defaultWorkflow: textSchema(200, 1).nullable(),
  settings: jsonObjectSchema,
}

export const createProjectBody = z
  .strictObject({ key: projectKeySchema, ...editable })
  .partial({
    repositoryUrl: true,
    forge: true,
    defaultBranch: true,
    defaultWorkflow: true,
    settings: true,
  })
  .meta({ id: 'CreateProject' })

export const updateProjectBody = z.strictObject(editable).partial().meta({ id: 'UpdateProject' })
export const projectListSchema = z
  .object({ items: z.array(projectSchema).readonly() })
  .meta({ id: 'ProjectList' })
