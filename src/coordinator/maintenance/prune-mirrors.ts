import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ProjectId, RunId } from '../../domain/id.ts'
import type { ForgeCatalogue } from '../../engine/ports.ts'
import type { Mirror } from '../../forge/contract.ts'
import type { Store } from '../../store/contract.ts'

export type MirrorsInput = {
  readonly store: Pick<Store, 'read' | 'now'>
  readonly forges: ForgeCatalogue
  /** Folder of all mirrors */
  readonly directory: string
  /** Time since the end of a ticket after which the names of its work go, `ms`; `null`: for ever */
  readonly ageMs: number | null
  readonly isDryRun: boolean
  readonly signal: AbortSignal
}

export type MirrorsReport = {
  /** Names that were removed; those of unpushed work are among the parked ones instead */
  readonly deletedRefCount: number
  readonly parkedRefCount: number
  readonly compactedCount: number
  readonly problems: readonly string[]
}

const WORK_PREFIX = 'refs/swarm/'
/** Refs at a time: fetches and harvests wait for each such part */
const REF_COUNT = 20
const COMPACT_TIMEOUT_MS = 10 * 60_000
/** Git's own measure of when packing pays: about 7,000 loose objects, or 50 packs */
const LOOSE_COUNT_MAX = 27
const PACK_COUNT_MAX = 50

/**
 * Removes the names of work whose tickets ended long ago: commits that some pushed branch holds stay with it, all
 * others are parked first. Then packs those mirrors where it pays and nobody works.
 */
export async function pruneMirrors(input: MirrorsInput): Promise<MirrorsReport> {
  const report = { deletedRefCount: 0, parkedRefCount: 0, compactedCount: 0, problems: [] as string[] }
  for (const projectId of await listMirrors(input.directory)) {
    input.signal.throwIfAborted()
    try {
      const mirror = await openMirror(input, projectId)
      if (mirror === undefined) continue
      const pruned = await pruneWork(mirror, input)
      report.deletedRefCount += pruned.deletedRefCount
      report.parkedRefCount += pruned.parkedRefCount
      if (await compactWhereItPays(mirror, input)) report.compactedCount += 1
    } catch (error) {
      if (input.signal.aborted) throw error
      const why = error instanceof Error ? error.message : String(error)
      report.problems.push(`mirror of project ${projectId}: ${why}`)
    }
  }
  return report
}

async function listMirrors(directory: string): Promise<readonly ProjectId[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return names.flatMap((name) => {
    const [, projectId] = /^(prj_[A-Za-z0-9_-]+)\.git$/.exec(name) ?? []
    return projectId === undefined ? [] : [projectId as ProjectId]
  })
}

async function openMirror(input: MirrorsInput, projectId: ProjectId): Promise<Mirror | undefined> {
  const project = await input.store.read.findProject({ projectId })
  const repository = project && input.forges.find(project)
  return await repository?.forge.openMirror(repository.project, input.signal)
}

async function pruneWork(
  mirror: Mirror,
  { store, ageMs, isDryRun, signal }: MirrorsInput,
): Promise<Pick<MirrorsReport, 'deletedRefCount' | 'parkedRefCount'>> {
  const counts = { deletedRefCount: 0, parkedRefCount: 0 }
  if (ageMs === null) return counts
  const refsOf = Map.groupBy(
    (await mirror.listRefs(WORK_PREFIX, signal)).map(({ ref }) => ref),
    (ref) => ref.slice(WORK_PREFIX.length).split('/', 1)[0] as RunId,
  )
  const runIds = [...refsOf.keys()]
  for (let from = 0; from < runIds.length; from += 200) {
    const ends = await store.read.listRunEnds({ runIds: runIds.slice(from, from + 200) })
    const old = ends.filter(({ endedAt }) => endedAt !== null && endedAt < store.now() - ageMs)
    const refs = old.flatMap(({ runId }) => refsOf.get(runId) ?? [])
    if (isDryRun) counts.deletedRefCount += refs.length
    for (let at = 0; !isDryRun && at < refs.length; at += REF_COUNT) {
      const { deleted, parked } = await mirror.pruneRefs(refs.slice(at, at + REF_COUNT), signal)
      counts.deletedRefCount += deleted.length
      counts.parkedRefCount += parked.length
    }
  }
  return counts
}

/**
 * Git keeps objects of the last two weeks whether they have a name or not, so what is being brought in is safe; who
 * needs the mirror meanwhile waits. So it is left for a time when no run of the project is driven.
 */
async function compactWhereItPays(
  mirror: Mirror,
  { store, directory, isDryRun, signal }: MirrorsInput,
): Promise<boolean> {
  const objects = join(directory, `${mirror.projectId}.git`, 'objects')
  const [loose, packs] = await Promise.all([countFiles(join(objects, '17')), countPacks(objects)])
  if (loose <= LOOSE_COUNT_MAX && packs <= PACK_COUNT_MAX) return false
  if (await isBusy(store, mirror.projectId)) return false
  if (!isDryRun) await mirror.compact(AbortSignal.any([signal, AbortSignal.timeout(COMPACT_TIMEOUT_MS)]))
  return true
}

async function countFiles(directory: string): Promise<number> {
  return (await readdir(directory).catch(() => [])).length
}

async function countPacks(objects: string): Promise<number> {
  const names = await readdir(join(objects, 'pack')).catch(() => [])
  return names.filter((name) => name.endsWith('.pack')).length
}

async function isBusy({ read }: Pick<Store, 'read'>, projectId: ProjectId): Promise<boolean> {
  const { items } = await read.listTickets({ projectId, statuses: ['running'], countMax: 1 })
  return items.length > 0
}
