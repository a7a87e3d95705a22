import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { RunId } from '../../domain/id.ts'
import { measureTree } from '../../platform/disk.ts'
import type { StoreReader } from '../../store/contract.ts'

export type RunFoldersInput = {
  readonly read: Pick<StoreReader, 'listRunEnds'>
  /** Holds one folder for each run, named after it */
  readonly directory: string
  /** Removes the folder of a run; may be called twice */
  readonly remove: (runId: RunId) => Promise<void>
  /** Time since the end after which a folder goes, `ms`; `null`: for ever */
  readonly ageMs: number | null
  readonly bytesMax: number | null
  readonly now: number
  readonly isDryRun: boolean
  readonly signal: AbortSignal
}

export type RunFoldersReport = {
  readonly runCount: number
  readonly bytes: number
  /** What is left */
  readonly keptBytes: number
  /** What is left is more than it may be: it belongs to tickets that have not ended */
  readonly isOverBound: boolean
}

/** What no store knows (it was put back from a backup) is left alone for this long at least, `ms` */
const UNKNOWN_AGE_MS = 24 * 60 * 60 * 1000
const PAGE_COUNT = 200
const RUN_ID = /^run_[A-Za-z0-9_-]+$/

type Folder = { readonly runId: RunId; readonly bytes: number; readonly endedAt: number | null }

/** Removes folders of runs whose tickets ended long ago, then the oldest of ended ones until the rest fits. */
export async function pruneRunFolders(input: RunFoldersInput): Promise<RunFoldersReport> {
  const folders = await listFolders(input)
  const ended = folders
    .flatMap(({ endedAt, ...folder }) => (endedAt === null ? [] : [{ ...folder, endedAt }]))
    .sort((a, b) => a.endedAt - b.endedAt)
  let keptBytes = folders.reduce((sum, { bytes }) => sum + bytes, 0)
  let runCount = 0
  let removedBytes = 0
  for (const { runId, bytes, endedAt } of ended) {
    const isOld = input.ageMs !== null && endedAt < input.now - input.ageMs
    const isTooMuch = input.bytesMax !== null && keptBytes > input.bytesMax
    if (!isOld && !isTooMuch) break
    input.signal.throwIfAborted()
    if (!input.isDryRun) await input.remove(runId)
    keptBytes -= bytes
    removedBytes += bytes
    runCount += 1
  }
  const isOverBound = input.bytesMax !== null && keptBytes > input.bytesMax
  return { runCount, bytes: removedBytes, keptBytes, isOverBound }
}

async function listFolders(input: RunFoldersInput): Promise<readonly Folder[]> {
  const { directory, read, signal } = input
  const runIds = await listRunIds(directory)
  const folders: Folder[] = []
  for (let from = 0; from < runIds.length; from += PAGE_COUNT) {
    signal.throwIfAborted()
    const page = runIds.slice(from, from + PAGE_COUNT)
    const ends = await read.listRunEnds({ runIds: page })
    const known = new Map(ends.map(({ runId, endedAt }) => [runId, endedAt]))
    for (const runId of page) {
      const path = join(directory, runId)
      const end = known.get(runId)
      const endedAt = end === undefined ? await findUnknownEnd(path, input.now) : end
      folders.push({ runId, bytes: await measureTree(path, signal), endedAt })
    }
  }
  return folders
}

/** Other names are not ours to remove. */
async function listRunIds(directory: string): Promise<readonly RunId[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  // The name is the identifier: it has no character that a name of a file lacks.
  return entries
    .filter((entry) => entry.isDirectory() && RUN_ID.test(entry.name))
    .map((entry) => entry.name as RunId)
}

async function findUnknownEnd(path: string, now: number): Promise<number | null> {
  const found = await stat(path).catch(() => undefined)
  return found !== undefined && now - found.mtimeMs > UNKNOWN_AGE_MS ? found.mtimeMs : null
}
