import { z } from 'zod'
import type { Json } from '../domain/json.ts'
import { LOG_LEVELS, SANDBOX_DRIVERS } from './config.ts'
import { RETENTION } from './retention-settings.ts'
import { DURATION, TEXT, WORKFLOW_NAME } from './setting-types.ts'
import { TRACKER } from './tracker-settings.ts'

/** The configuration file as people write it: kebab-case keys, durations with a unit. Unknown keys are refused. */

const NAME = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, {
  error: 'a name has lower-case letters, digits and hyphens only',
})

/** A scalar where a list of one is meant is taken as that list. */
const WORDS = z.union([TEXT.transform((word) => [word]), z.array(TEXT).min(1)], {
  error: 'expects a word or a list of words',
})

const JSON_VALUE: z.ZodType<Json> = z.json()

const SECRET = z.union(
  [
    z.strictObject({
      env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/),
    }),
    z.strictObject({ file: TEXT }),
  ],
  { error: 'expects { env: NAME } or { file: PATH }: a secret itself never stands in this file' },
)

const ENDPOINT = z.string().regex(/^(\*\.)?[A-Za-z0-9.:[\]-]+:[0-9]{1,5}$/, {
  error: 'expects host:port, such as registry.example.org:443',
})

const HOST_ID = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, {
  error: 'expects a name of letters, digits, dots, dashes and underscores, at most 63 of them',
})

const HOST_NAME = z.string().regex(/^([A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])$/, {
  error: 'expects a host name without scheme and port, such as swarm.example.org',
})

const HOST_AND_PORT = z.string().regex(/^([A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$/, {
  error: 'expects a host, with its port unless it is 443, such as git.example.org',
})

const BASE_URL = z.string().refine(isPlainHttpUrl, {
  error: 'expects an http or https address without user name, password, query or fragment',
})

const LISTEN_PORT_HINT = 'expects a port from 0 to 65535 (0: any free one), or null for the unix socket only'

export const SETTINGS_SCHEMA = z.strictObject({
  'state-dir': TEXT.optional(),
  store: TEXT.default('sqlite:swarm.db'),
  'store-password': SECRET.nullable().optional(),
  host: HOST_ID.optional(),
  listen: z
    .strictObject({
      host: TEXT.default('127.0.0.1'),
      port: z
        .union([z.number().int().min(0).max(65_535), z.null(), z.literal(false)], { error: LISTEN_PORT_HINT })
        .default(7377),
      'allowed-hosts': z.array(HOST_NAME).default([]),
    })
    .prefault({}),
  slots: z.number().int().min(1).max(1000).default(2),
  sandbox: z
    .strictObject({
      driver: z.enum(SANDBOX_DRIVERS).default('bubblewrap'),
      'memory-mib': z.number().int().min(64).max(1_048_576).default(2048),
      processes: z.number().int().min(8).max(65_536).default(512),
      'disk-mib': z.number().int().min(16).max(16_777_216).default(4096),
      timeout: DURATION.default('1h'),
      warm: z.number().int().min(0).max(100).default(1),
    })
    .prefault({}),
  lease: z.strictObject({ ttl: DURATION.default('30s'), deadman: DURATION.default('20s') }).prefault({}),
  retry: z
    .strictObject({
      runs: z.number().int().min(1).max(100).default(3),
      backoff: DURATION.default('5s'),
      'backoff-max': DURATION.default('5m'),
    })
    .prefault({}),
  poll: z.strictObject({ interval: DURATION.default('2s') }).prefault({}),
  egress: z
    .strictObject({
      allow: z.array(ENDPOINT).default([]),
      'allow-private': z.array(ENDPOINT).default([]),
    })
    .prefault({}),
  models: z
    .record(
      NAME,
      z.strictObject({
        provider: z.enum(['anthropic', 'openai']),
        'base-url': BASE_URL,
        model: TEXT.nullable().default(null),
        key: SECRET.nullable().default(null),
      }),
    )
    .default({
      default: {
        provider: 'anthropic',
        'base-url': 'https://api.anthropic.com',
        model: 'claude-sonnet-4-5',
        key: { env: 'ANTHROPIC_API_KEY' },
      },
    }),
  routes: z
    .array(
      z.strictObject({
        name: TEXT,
        when: z
          .strictObject({
            type: WORDS.optional(),
            labels: WORDS.optional(),
            project: WORDS.optional(),
            'title-contains': TEXT.optional(),
          })
          .prefault({}),
        workflow: WORKFLOW_NAME,
        agent: TEXT.optional(),
        inputs: z.record(z.string(), JSON_VALUE).default({}),
      }),
    )
    .default([]),
  forges: z
    .record(
      NAME,
      z.strictObject({
        kind: z.enum(['local', 'git']),
        username: TEXT.optional(),
        credential: SECRET.optional(),
        hosts: z.array(HOST_AND_PORT).min(1).optional(),
      }),
    )
    .default({ local: { kind: 'local' }, git: { kind: 'git' } }),
  retention: RETENTION.prefault({}),
  trackers: z.record(NAME, TRACKER).default({}),
  log: z
    .strictObject({
      level: z.enum(LOG_LEVELS).default('info'),
      format: z.enum(['json', 'pretty']).default('json'),
    })
    .prefault({}),
})

export type Settings = z.infer<typeof SETTINGS_SCHEMA>

function isPlainHttpUrl(text: string): boolean {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return false
  return url.username === '' && url.password === '' && url.search === '' && url.hash === ''
}

/** Keys that may stand in the mapping at this path, for hints; empty where any key may. */
export function listKnownKeys(path: readonly PropertyKey[]): readonly string[] {
  let schema: z.ZodType = SETTINGS_SCHEMA
  for (const step of path) {
    const inner = unwrap(schema)
    if (inner instanceof z.ZodObject)
      schema = (inner.shape as Record<string, z.ZodType>)[String(step)] ?? z.any()
    else if (inner instanceof z.ZodRecord) schema = inner.valueType as z.ZodType
    else if (inner instanceof z.ZodArray) schema = inner.element as z.ZodType
    else return []
  }
  const inner = unwrap(schema)
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : []
}

function unwrap(schema: z.ZodType): z.ZodType {
  const isWrapper =
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable
  return isWrapper ? unwrap(schema.unwrap() as z.ZodType) : schema
}
