import * as z from 'zod'
import { idSchema, instantSchema, jsonObjectSchema, textSchema } from './text.ts'

export const agentSchema = z
  .object({
    id: idSchema('agent'),
    name: z.string(),
    version: z.string(),
    manifest: jsonObjectSchema,
    digest: z.string().meta({ description: 'SHA-256 of the package' }),
    source: z.enum(['shipped', 'registered']),
    createdAt: instantSchema,
  })
  .meta({ id: 'Agent' })
export const agentListSchema = z.object({ items: z.array(agentSchema).readonly() }).meta({ id: 'AgentList' })

export const workflowSchema = z
  .object({
    id: idSchema('workflow'),
    name: z.string(),
    version: z.string(),
    text: z.string().meta({ description: 'The YAML as it was registered' }),
    digest: z.string(),
    source: z.enum(['shipped', 'registered', 'repository']),
    createdAt: instantSchema,
  })
  .meta({ id: 'Workflow' })
export const workflowListSchema = z
  .object({ items: z.array(workflowSchema).readonly() })
  .meta({ id: 'WorkflowList' })

export const nameParams = z.strictObject({ name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,99}$/) })
export const versionQuery = z.strictObject({
  version: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9.+-]{0,49}$/)
    .optional()
    .meta({ description: 'Else the newest' }),
})

export const registerAgentBody = z
  .strictObject({
    path: textSchema(4096, 1).meta({ description: 'Folder of the package on the coordinator’s host' }),
  })
  .meta({ id: 'RegisterAgent' })
export const workflowTextBody = z
  .strictObject({ text: textSchema(1_048_576, 1).meta({ description: 'YAML' }) })
  .meta({ id: 'WorkflowText' })
export const validationSchema = z
  .object({
    isValid: z.boolean(),
    problems: z.array(z.string()).readonly().meta({ description: 'One line each, with line and column' }),
  })
  .meta({ id: 'Validation' })
