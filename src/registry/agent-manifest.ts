import { z } from 'zod'
import type { JsonObject } from '../domain/json.ts'
import { DURATION_HINT, parseDuration } from '../workflow/duration.ts'

/** `agent.yaml`, parsed. What a package says about itself; kept in the store as JSON. */
export type AgentManifest = {
  readonly name: string
  readonly version: string
  readonly description: string
  readonly runtime: (typeof RUNTIMES)[number]
  /** Relative path of the file that is run, with `/` */
  readonly entry: string
  /** Whether it needs the repository checked out; `optional`: it gets it where there is one */
  readonly workspace: boolean | 'optional'
  readonly memoryMib: number
  readonly timeoutMs: number
  readonly network: {
    readonly hosts: readonly { readonly host: string; readonly port: number }[] | '*'
    readonly models: readonly string[] | '*'
  }
  readonly capabilities: readonly (typeof CAPABILITIES)[number][]
  /** JSON Schema (draft 2020-12) of the inputs: an object */
  readonly inputs: JsonObject
  readonly outputs: JsonObject
}

export const MANIFEST_FILE = 'agent.yaml'

const RUNTIMES = ['node', 'bash', 'sh', 'python3', 'exec'] as const
const CAPABILITIES = ['resume', 'send', 'interrupt'] as const

const name = z
  .string()
  .regex(
    /^[a-z][a-z0-9-]{0,62}$/,
    'a name has lower-case letters, digits and hyphens, and begins with a letter',
  )
const version = z
  .string('write the version in quotes, such as "1.0.0"')
  .regex(/^\d{1,6}\.\d{1,6}\.\d{1,6}(-[0-9A-Za-z.-]{1,40})?$/, 'a version looks like 1.0.0 or 2.1.0-beta.1')
const entry = z
  .string()
  .max(200)
  .refine(isInside, 'the entry is a relative path inside the package, with / and without ..')
const timeout = z.string(DURATION_HINT).transform((text, context) => {
  const durationMs = parseDuration(text)
  if (durationMs === undefined || durationMs === 0)
    context.addIssue({ code: 'custom', message: DURATION_HINT })
  return durationMs ?? 0
})
const host = z.string().transform((text, context) => {
  const parts = /^((?:\*\.)?[A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:.]+\]):(\d{1,5})$/.exec(text)
  if (parts === null)
    context.addIssue({ code: 'custom', message: 'a host is written with its port: example.com:443' })
  return { host: parts?.[1] ?? '', port: Number(parts?.[2] ?? 0) }
})
const schema = z.record(z.string(), z.json()) as unknown as z.ZodType<JsonObject>

/** The shape of `agent.yaml`; unknown keys are errors. */
export const manifestShape = z.strictObject({
  name,
  version,
  description: z.string().min(1).max(1_000),
  runtime: z.enum(RUNTIMES),
  entry,
  workspace: z.union([z.boolean(), z.literal('optional')]).default(false),
  'memory-mib': z.int().min(16).max(1_048_576).default(512),
  timeout: timeout.default(600_000),
  network: z
    .strictObject({
      hosts: z.union([z.literal('*'), z.array(host).max(100)]).default([]),
      models: z.union([z.literal('*'), z.array(z.string().min(1).max(64)).max(20)]).default([]),
    })
    .default({ hosts: [], models: [] }),
  capabilities: z.array(z.enum(CAPABILITIES)).default([]),
  inputs: schema,
  outputs: schema,
})

export function toManifest(parsed: z.output<typeof manifestShape>): AgentManifest {
  const { 'memory-mib': memoryMib, timeout: timeoutMs, ...rest } = parsed
  return { ...rest, memoryMib, timeoutMs }
}

/** Whether a relative path stays inside its directory. */
function isInside(path: string): boolean {
  const parts = path.split('/')
  return (
    !/[\u0000-\u001f\u007f\\]/.test(path) &&
    parts.every((part) => part !== '' && part !== '.' && part !== '..')
  )
}
