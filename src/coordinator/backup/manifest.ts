/** What a backup says of itself. It is written last: a folder without it is no backup. */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { BackupError } from './backup-error.ts'

export const MANIFEST_FILE = 'manifest.json'
export const STORE_FILE = 'store/swarm.db'
/** Version of this format; a newer one is refused */
const FORMAT = 1

const FILE = z.strictObject({
  path: z.string().max(4096),
  bytes: z.number().int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  isExecutable: z.literal(true).optional(),
})
const MANIFEST = z.strictObject({
  kind: z.literal('swarm-backup'),
  format: z.number().int().min(1),
  swarmVersion: z.string().max(100),
  /** ISO 8601 in UTC */
  createdAt: z.string().max(100),
  store: z.strictObject({
    kind: z.literal('sqlite'),
    version: z.number().int(),
    lastEventSeq: z.number().int(),
  }),
  /** Where it was; paths in the store begin with it */
  stateDir: z.string().max(4096),
  hasLogs: z.boolean(),
  files: z.array(FILE),
})
export type Manifest = Readonly<z.infer<typeof MANIFEST>>
export type ManifestFile = Readonly<z.infer<typeof FILE>>

/** With a digest over itself, so that a changed manifest is noticed as a changed file is. */
export function formatManifest(content: Omit<Manifest, 'kind' | 'format'>): string {
  const manifest: Manifest = { kind: 'swarm-backup', format: FORMAT, ...content }
  return `${JSON.stringify({ manifest, digest: digestOf(manifest) }, null, 1)}\n`
}

/** @throws BackupError unless every word of it is as it was written, and this version understands it */
export function parseManifest(text: string): Manifest {
  const { manifest, digest } = parseJson(text)
  const head = z.object({ kind: z.literal('swarm-backup'), format: z.number() }).safeParse(manifest)
  if (!head.success) throw damaged('it is not the manifest of a backup')
  if (head.data.format > FORMAT) {
    const known = `this program knows format ${FORMAT}`
    throw new BackupError(
      'newer_version',
      `the backup has format ${head.data.format}, ${known}: restore it with a newer program`,
    )
  }
  const parsed = MANIFEST.safeParse(manifest)
  if (!parsed.success) throw damaged(z.prettifyError(parsed.error).slice(0, 500))
  if (digestOf(parsed.data) !== digest) throw damaged('it was changed since it was written')
  for (const { path } of parsed.data.files) assertPath(path)
  if (new Set(parsed.data.files.map(({ path }) => path)).size !== parsed.data.files.length) {
    throw damaged('it names a file twice')
  }
  return parsed.data
}

function parseJson(text: string): { manifest?: unknown; digest?: unknown } {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value
  } catch {
    // Falls through: not JSON is as wrong as JSON of another shape.
  }
  throw damaged('it is not JSON')
}

function digestOf(manifest: Manifest): string {
  return createHash('sha256')
    .update(JSON.stringify(sortKeys(manifest)))
    .digest('hex')
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, inner]) => [key, sortKeys(inner)]))
}

const PLACES = [
  /^store\/swarm\.db$/,
  /^mirrors\/prj_[A-Za-z0-9_-]+\.bundle$/,
  /^(logs|artifacts|registry)\/[^/]+(\/[^/]+){0,30}$/,
]

/** Stays below the folder, and is one of the places that a backup has. */
function assertPath(path: string): void {
  const isPlain = path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  const isPrintable = !/[\u0000-\u001f\u007f\\]/.test(path)
  if (isPlain && isPrintable && PLACES.some((place) => place.test(path))) return
  throw damaged(`it names ${JSON.stringify(path.slice(0, 200))}, which no backup has`)
}

function damaged(why: string): BackupError {
  return new BackupError('damaged', `the backup is refused: ${MANIFEST_FILE}: ${why}`)
}
