import { open, stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { runProcess } from '../../platform/process.ts'
import type { ForeignRow, ForeignTable, TableMapping } from './foreign-table.ts'
import type { ForeignRequest } from './read-foreign-file.ts'

/** The file could not be read as a registry; it was not changed. */
export class ForeignFileError extends Error {
  override readonly name = 'ForeignFileError'
  readonly code: ForeignFileCode
  /** The next thing to do */
  readonly hint: string | undefined

  constructor(code: ForeignFileCode, message: string, more: { hint?: string; cause?: unknown } = {}) {
    super(message, { cause: more.cause })
    this.code = code
    this.hint = more.hint
  }
}

const CODES = [
  'file_missing',
  'not_a_registry',
  'own_store',
  'table_missing',
  'column_missing',
  'too_large',
  'locked',
  'unreadable',
] as const
export type ForeignFileCode = (typeof CODES)[number]

export type ForeignRegistry = {
  readonly rows: Readonly<Partial<Record<ForeignTable, readonly ForeignRow[]>>>
  /** What is absent and was not asked for */
  readonly notes: readonly string[]
}

export type ReadForeignOptions = {
  readonly path: string
  readonly tables: Readonly<Partial<Record<ForeignTable, TableMapping>>>
  /** Longest wait for another program's lock, `ms` */
  readonly busyTimeoutMs?: number
  /** Longest time for all of it, `ms` */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

const BUSY_TIMEOUT_MS = 5_000
const TIMEOUT_MS = 60_000
const END_MARGIN_MS = 5_000
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024
const HEAP_MIB = 512
const MAGIC = 'SQLite format 3\0'
/** "Swrm": the mark in the head of Swarm's own store; its place in the file. */
const OWN_MARK = 'Swrm'
const MARK_AT = 68

/**
 * Reads the rows of another program's registry. The reading has a process of its own: a view may be a statement
 * that never ends, and a thread in the middle of a statement cannot be stopped.
 * @throws ForeignFileError
 */
export async function readForeignRegistry(options: ReadForeignOptions): Promise<ForeignRegistry> {
  const { path, signal, busyTimeoutMs = BUSY_TIMEOUT_MS, timeoutMs = TIMEOUT_MS } = options
  await assertRegistryFile(path)
  const tables = Object.entries(options.tables).map(([kind, mapping]) => ({
    kind: kind as ForeignTable,
    table: mapping.table,
    columns: [...mapping.columns],
    values: [...mapping.values],
  }))
  const request: ForeignRequest = { path, tables, busyTimeoutMs, endAfterMs: timeoutMs + END_MARGIN_MS }
  const { code, stdout, stderr, timedOut, truncated } = await runProcess({
    argv: [process.execPath, `--max-old-space-size=${HEAP_MIB}`, READER],
    stdin: JSON.stringify(request),
    timeoutMs,
    outputBytesMax: OUTPUT_BYTES_MAX,
    ...(signal === undefined ? {} : { signal }),
  })
  if (timedOut) {
    throw new ForeignFileError('unreadable', `reading ${path} took longer than ${timeoutMs / 1000} seconds`, {
      hint: 'if a table is a view, make a table of it in a copy of the file',
    })
  }
  if (truncated) throw new ForeignFileError('too_large', `${path} holds more than is read at once`)
  return toRegistry(path, stdout.toString('utf8'), `${code}: ${stderr.toString('utf8').slice(0, 2_000)}`)
}

const EXTENSION = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
const READER = fileURLToPath(new URL(`./read-foreign-file.${EXTENSION}`, import.meta.url))

/** What is no registry at all is said before anything is opened as a database. */
async function assertRegistryFile(path: string): Promise<void> {
  const head = await readHead(path)
  if (head.length === 0) {
    throw new ForeignFileError('not_a_registry', `${path} is empty: no registry was ever written into it`)
  }
  if (head.toString('latin1', 0, MAGIC.length) !== MAGIC) {
    throw new ForeignFileError('not_a_registry', `${path} is not an SQLite database`, {
      hint: 'give the file in which the registry keeps its tables agents and workflows',
    })
  }
  if (head.toString('latin1', MARK_AT, MARK_AT + OWN_MARK.length) === OWN_MARK) {
    throw new ForeignFileError(
      'own_store',
      `${path} is Swarm's own store: there is nothing to import from it`,
      {
        hint: 'what is registered here: swarm agent list, swarm workflow list',
      },
    )
  }
}

async function readHead(path: string): Promise<Buffer> {
  try {
    const found = await stat(path)
    if (!found.isFile()) {
      const what = found.isDirectory() ? 'a directory' : 'not a file'
      throw new ForeignFileError('not_a_registry', `${path} is ${what}: give the file of the registry`)
    }
    const handle = await open(path, 'r')
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(100), 0, 100, 0)
      return buffer.subarray(0, bytesRead)
    } finally {
      await handle.close()
    }
  } catch (cause) {
    if (cause instanceof ForeignFileError) throw cause
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new ForeignFileError('file_missing', `there is no file ${path}`, { cause })
    }
    throw new ForeignFileError('unreadable', `cannot read ${path}: ${code ?? String(cause)}`, {
      hint: 'run the command as a user who may read the file',
      cause,
    })
  }
}

const cell = z.union([
  z.string(),
  z.null(),
  z.strictObject({ tooLong: z.number() }),
  z.strictObject({ binary: z.number() }),
])
const row = z.strictObject({ row: z.int(), cells: z.record(z.string(), cell) })
const answer = z.union([
  z.strictObject({
    rows: z.strictObject({ agents: z.array(row).optional(), workflows: z.array(row).optional() }),
    notes: z.array(z.string()),
  }),
  z.strictObject({ code: z.enum(CODES), message: z.string(), hint: z.string().optional() }),
])

function toRegistry(path: string, text: string, trouble: string): ForeignRegistry {
  const parsed = answer.safeParse(parseJson(text))
  if (!parsed.success) {
    throw new ForeignFileError('unreadable', `cannot read ${path}: the reading ended early, ${trouble}`)
  }
  if ('rows' in parsed.data) {
    const { agents, workflows } = parsed.data.rows
    return {
      rows: { ...(agents && { agents }), ...(workflows && { workflows }) },
      notes: parsed.data.notes,
    }
  }
  const { code, message, hint } = parsed.data
  throw new ForeignFileError(code, message, hint === undefined ? {} : { hint })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
