import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SandboxId } from '../domain/id.ts'
import { SandboxError } from './contract.ts'

type RecordedProcess = { readonly pid: number; readonly startTime: string; readonly bootId: string }

/** What survives a coordinator: enough to find, adopt or remove a sandbox. Holds its secret: mode 0600. */
export type StoredRecord = {
  readonly version: 1
  readonly driver: string
  readonly sandboxId: SandboxId
  /** Instant of creation, `ms` since the epoch */
  readonly createdAt: number
  readonly labels: Readonly<Record<string, string>>
  readonly secret: string
  /** The process to watch; absent until it was started */
  readonly process?: RecordedProcess
  /** Directories of its control groups */
  readonly cgroups: readonly string[]
}

const ID = /^[A-Za-z0-9_-]{1,64}$/

/** `<stateDir>/sandboxes/<id>` */
export function recordDirectory(stateDir: string, sandboxId: string): string {
  if (!ID.test(sandboxId)) {
    throw new SandboxError('request_invalid', `${JSON.stringify(sandboxId)} is no sandbox id`)
  }
  return join(stateDir, 'sandboxes', sandboxId)
}

/** The directory of a new sandbox, with its record in it: both appear in one step. */
export async function createRecord(stateDir: string, record: StoredRecord): Promise<string> {
  const directory = recordDirectory(stateDir, record.sandboxId)
  const temporary = join(stateDir, 'sandboxes', `.${record.sandboxId}.new`)
  await mkdir(temporary, { recursive: true, mode: 0o700 })
  try {
    await writeFile(join(temporary, 'record.json'), JSON.stringify(record), { mode: 0o600 })
    await rename(temporary, directory)
    return directory
  } catch (error) {
    await rm(temporary, { recursive: true, force: true })
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error
    throw new SandboxError('already_exists', `there is a sandbox ${record.sandboxId} already`, {
      data: { sandboxId: record.sandboxId },
      cause: error,
    })
  }
}

export async function updateRecord(stateDir: string, record: StoredRecord): Promise<void> {
  const path = join(recordDirectory(stateDir, record.sandboxId), 'record.json')
  await writeFile(`${path}.new`, JSON.stringify(record), { mode: 0o600 })
  await rename(`${path}.new`, path)
}

/** `undefined` when there is none or it cannot be read (a torn disk): then only the directory is left to remove. */
export async function findRecord(stateDir: string, sandboxId: string): Promise<StoredRecord | undefined> {
  const path = join(recordDirectory(stateDir, sandboxId), 'record.json')
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return undefined
  })
  return text === undefined ? undefined : parseRecord(text, sandboxId)
}

/** Ids that have a directory, with or without a readable record. */
export async function listRecordIds(stateDir: string): Promise<readonly SandboxId[]> {
  const names = await readdir(join(stateDir, 'sandboxes')).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return []
  })
  return names.filter((name) => ID.test(name)) as SandboxId[]
}

/** Directories that a crash left before their record was complete. */
export async function removeUnfinishedRecords(stateDir: string, keep: ReadonlySet<string>): Promise<void> {
  const parent = join(stateDir, 'sandboxes')
  for (const name of await readdir(parent).catch(() => [])) {
    const id = /^\.(.*)\.new$/.exec(name)?.[1]
    if (id !== undefined && !keep.has(id)) await rm(join(parent, name), { recursive: true, force: true })
  }
}

export async function removeRecord(stateDir: string, sandboxId: string): Promise<void> {
  await rm(recordDirectory(stateDir, sandboxId), {
    recursive: true,
    force: true,
    maxRetries: 3,
    retryDelay: 20,
  })
}

function parseRecord(text: string, sandboxId: string): StoredRecord | undefined {
  try {
    const record = JSON.parse(text) as StoredRecord
    const isOurs = record.version === 1 && record.sandboxId === sandboxId && typeof record.secret === 'string'
    return isOurs && Array.isArray(record.cgroups) ? record : undefined
  } catch {
    return undefined
  }
}
