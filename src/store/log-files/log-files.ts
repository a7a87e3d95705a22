import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { RunId } from '../../domain/id.ts'
import type { AttemptLogs, AttemptLogWriter, AttemptRef, LogPosition } from '../attempt-log.ts'
import { createLogGrowth } from './log-growth.ts'
import { toLogFolder, toRunFolder } from './log-path.ts'
import { EMPTY_STATE, toPosition } from './log-state.ts'
import { openLogWriter } from './log-writer.ts'
import { readLog } from './read-log.ts'
import { findEnd, RECORDS_FILE, scanRecords, withFile } from './scan-log.ts'

/** Longest log of one attempt, bytes */
const BYTE_COUNT_MAX = 64 * 1024 * 1024

/**
 * Logs of attempts as files below `directory`, which is made when it is needed.
 * @param byteCountMax longest log of one attempt, bytes; later output is counted and dropped
 */
export function createLogFiles(options: {
  directory: string
  clock: { now(): number }
  byteCountMax?: number
}): AttemptLogs {
  const { directory, clock, byteCountMax = BYTE_COUNT_MAX } = options
  const growth = createLogGrowth()
  const writers = new Map<string, Promise<AttemptLogWriter>>()

  async function find(folder: string): Promise<LogPosition | undefined> {
    const state = await findEnd(folder)
    return state && toPosition(state)
  }

  return {
    open(ref) {
      const folder = toLogFolder(directory, ref)
      // One writer per log: a second open of this process gets the first one's.
      const known = writers.get(folder)
      if (known !== undefined) return known
      const opening = openLogWriter({
        folder,
        ref,
        byteCountMax,
        now: () => clock.now(),
        onGrowth: () => growth.announce(folder),
        onClosed: () => writers.delete(folder),
      })
      writers.set(folder, opening)
      opening.catch(() => writers.delete(folder))
      return opening
    },
    async find(ref) {
      return await find(toLogFolder(directory, ref))
    },
    async list(runId) {
      const found: (AttemptRef & LogPosition)[] = []
      for (const folder of await listLogFolders(toRunFolder(directory, runId))) {
        const ref = await readRef(folder, runId)
        const position = await find(folder)
        if (ref !== undefined && position !== undefined) found.push({ ...ref, ...position })
      }
      return found.sort((a, b) => compareText(a.stepKey, b.stepKey) || a.attempt - b.attempt)
    },
    read: (ref, readOptions) => readLog(toLogFolder(directory, ref), growth, readOptions),
    async remove(runId) {
      await rm(toRunFolder(directory, runId), { recursive: true, force: true })
    },
  }
}

async function listLogFolders(runFolder: string): Promise<readonly string[]> {
  const folders: string[] = []
  for (const step of await listFolders(runFolder)) folders.push(...(await listFolders(step)))
  return folders
}

async function listFolders(folder: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true })
    return entries.filter((entry) => entry.isDirectory()).map((entry) => join(folder, entry.name))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}

/** Whose log it is stands in its first record; names of folders are only for finding it. */
async function readRef(folder: string, runId: RunId): Promise<AttemptRef | undefined> {
  return await withFile(join(folder, RECORDS_FILE), async (file) => {
    for await (const { record } of scanRecords(file, EMPTY_STATE)) {
      if (record.kind !== 'begin') return undefined
      // Written by `openLogWriter` and guarded by the record's checksum.
      const { stepKey, attempt } = JSON.parse(record.data.toString()) as AttemptRef
      return { runId, stepKey, attempt }
    }
    return undefined
  })
}

function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
