import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { RunId } from '../../domain/id.ts'
import type { ForgeCatalogue } from '../../engine/ports.ts'
import { measureTree } from '../../platform/disk.ts'
import type { AttemptLogs } from '../../store/attempt-log.ts'
import type { Store } from '../../store/contract.ts'
import type { DiskUsage, GarbageReport } from './garbage-report.ts'
import { pruneMirrors } from './prune-mirrors.ts'
import { prunePackages } from './prune-packages.ts'
import { pruneEvents, pruneRuns } from './prune-records.ts'
import { pruneRunFolders, type RunFoldersReport } from './prune-run-folders.ts'
import type { RetentionPolicy } from './retention-policy.ts'

export type GarbageDeps = {
  readonly store: Store
  readonly logs: AttemptLogs
  readonly forges: ForgeCatalogue
  readonly policy: RetentionPolicy
  /** Absolute; the folders of logs, artifacts, mirrors and agent packages lie in it */
  readonly stateDir: string
  /** Files of the store; none when it lies elsewhere */
  readonly storePaths: readonly string[]
}

/**
 * One round of retention: removes what has ended and is older or more than configured, in small parts. Every part is
 * safe to be cut off and to be repeated; two rounds at once do the same twice.
 */
export async function collectGarbage(
  deps: GarbageDeps,
  { isDryRun, signal }: { readonly isDryRun: boolean; readonly signal: AbortSignal },
): Promise<{ readonly report: GarbageReport; readonly usage: DiskUsage }> {
  const startedAt = performance.now()
  const { store, policy, stateDir } = deps
  const now = store.now()
  const places = toPlaces(stateDir)
  const folders = { read: store.read, now, isDryRun, signal }
  // Files before the records that name them, so that what is cut off is found again.
  const logs = await pruneRunFolders({
    ...folders,
    directory: places.logs,
    remove: (runId) => deps.logs.remove(runId),
    ageMs: policy.logsMs,
    bytesMax: policy.logBytesMax,
  })
  const artifacts = await pruneRunFolders({
    ...folders,
    directory: places.artifacts,
    remove: (runId: RunId) => rm(join(places.artifacts, runId), { recursive: true, force: true }),
    ageMs: policy.artifactsMs,
    bytesMax: policy.artifactBytesMax,
  })
  const mirrors = await pruneMirrors({
    store,
    forges: deps.forges,
    directory: places.mirrors,
    ageMs: policy.workMs,
    isDryRun,
    signal,
  })
  const packageCount = await prunePackages({
    read: store.read,
    directory: join(places.registry, 'agents'),
    now,
    isDryRun,
    signal,
  })
  const records = { store, policy, isDryRun, signal }
  const runCount = await pruneRuns(records)
  const eventCount = await pruneEvents(records)
  const usage = await measure(deps, { logs: logs.keptBytes, artifacts: artifacts.keptBytes }, signal)
  const report = {
    isDryRun,
    eventCount,
    runCount,
    logs: { runCount: logs.runCount, bytes: logs.bytes },
    artifacts: { runCount: artifacts.runCount, bytes: artifacts.bytes },
    work: { deletedCount: mirrors.deletedRefCount, parkedCount: mirrors.parkedRefCount },
    compactedMirrorCount: mirrors.compactedCount,
    packageCount,
    durationMs: Math.round(performance.now() - startedAt),
    problems: [...describeBound('logs', logs), ...describeBound('artifacts', artifacts), ...mirrors.problems],
  }
  return { report, usage }
}

function toPlaces(stateDir: string) {
  return {
    logs: join(stateDir, 'logs'),
    artifacts: join(stateDir, 'artifacts'),
    mirrors: join(stateDir, 'mirrors'),
    registry: join(stateDir, 'registry'),
  }
}

async function measure(
  { store, stateDir, storePaths }: GarbageDeps,
  known: { readonly logs: number; readonly artifacts: number },
  signal: AbortSignal,
): Promise<DiskUsage> {
  const places = toPlaces(stateDir)
  const sizes = await Promise.all(storePaths.map((path) => measureTree(path, signal)))
  return {
    measuredAt: store.now(),
    bytesByKind: {
      store: sizes.reduce((sum, bytes) => sum + bytes, 0),
      ...known,
      mirrors: await measureTree(places.mirrors, signal),
      registry: await measureTree(places.registry, signal),
    },
  }
}

function describeBound(kind: string, { isOverBound, keptBytes }: RunFoldersReport): readonly string[] {
  if (!isOverBound) return []
  return [
    `${kind}: ${keptBytes} bytes are left, more than configured; they are of tickets that have not ended`,
  ]
}
