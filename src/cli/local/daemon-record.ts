import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findProcessIdentity, isProcessAlive, type ProcessIdentity } from '../../platform/process-identity.ts'

/** Who serves a state directory; lies in it as `daemon.json` while the daemon runs. */
export type DaemonRecord = ProcessIdentity & {
  readonly apiUrl: string | null
  /** ISO 8601 in UTC */
  readonly startedAt: string
}

/** Says that this process serves the state directory. */
export async function writeDaemonRecord(stateDir: string, apiUrl: string | null): Promise<void> {
  const identity = await findProcessIdentity(process.pid)
  if (identity === undefined) throw new Error('mistake: this process is not in /proc')
  const record: DaemonRecord = { ...identity, apiUrl, startedAt: new Date().toISOString() }
  const temporary = `${toPath(stateDir)}.${process.pid}`
  await writeFile(temporary, `${JSON.stringify(record)}\n`, { mode: 0o600 })
  await rename(temporary, toPath(stateDir))
}

/** Removes what this process wrote; another's record stays. */
export async function removeDaemonRecord(stateDir: string): Promise<void> {
  const record = await readRecord(stateDir)
  if (record?.pid === process.pid) await rm(toPath(stateDir), { force: true })
}

/** The daemon that serves the state directory, or `undefined` when none lives. */
export async function findDaemon(stateDir: string): Promise<DaemonRecord | undefined> {
  const record = await readRecord(stateDir)
  return record !== undefined && (await isProcessAlive(record)) ? record : undefined
}

async function readRecord(stateDir: string): Promise<DaemonRecord | undefined> {
  let text: string
  try {
    text = await readFile(toPath(stateDir), 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
  try {
    return toRecord(JSON.parse(text))
  } catch {
    // Half a file or another's: it names no process that could be signalled.
    return undefined
  }
}

function toRecord(value: unknown): DaemonRecord | undefined {
  const { pid, startTime, bootId, apiUrl, startedAt } = value as Record<string, unknown>
  if (typeof pid !== 'number' || !Number.isInteger(pid) || pid < 2) return undefined
  if (typeof startTime !== 'string' || typeof bootId !== 'string') return undefined
  return {
    pid,
    startTime,
    bootId,
    apiUrl: typeof apiUrl === 'string' ? apiUrl : null,
    startedAt: typeof startedAt === 'string' ? startedAt : '',
  }
}

function toPath(stateDir: string): string {
  return join(stateDir, 'daemon.json')
}
