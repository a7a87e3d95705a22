import { setTimeout as pause } from 'node:timers/promises'
import type { RunId } from '../../domain/id.ts'
import type { Store } from '../../store/contract.ts'
import { EVENT_COUNT_KEPT, type RetentionPolicy } from './retention-policy.ts'

/** Rows of one transaction: some milliseconds */
const ROW_COUNT = 200
const PAGE_COUNT = 1_000

export type PruneInput = {
  readonly store: Store
  readonly policy: RetentionPolicy
  readonly isDryRun: boolean
  readonly signal: AbortSignal
}

/** Old events of tickets that have ended. @returns how many were removed, or would be */
export async function pruneEvents({ store, policy, isDryRun, signal }: PruneInput): Promise<number> {
  const { eventsMs, eventCountMax } = policy
  if (eventsMs === null && eventCountMax === null) return 0
  const cutSeq = await store.read.findEventCut({
    before: eventsMs === null ? null : store.now() - eventsMs,
    countMax: eventCountMax,
    keepCount: EVENT_COUNT_KEPT,
  })
  let count = 0
  for (let afterSeq = 0; afterSeq < cutSeq; ) {
    signal.throwIfAborted()
    const seqs = await store.read.listPrunableEvents({ afterSeq, cutSeq, countMax: PAGE_COUNT })
    if (isDryRun) count += seqs.length
    else count += await removeEvents(store, seqs, signal)
    afterSeq = seqs.at(-1) ?? cutSeq
  }
  return count
}

async function removeEvents(store: Store, seqs: readonly number[], signal: AbortSignal): Promise<number> {
  let count = 0
  for (let from = 0; from < seqs.length; from += ROW_COUNT) {
    const part = seqs.slice(from, from + ROW_COUNT)
    count += await atEase(signal, () => store.write.pruneEvents({ seqs: part }))
  }
  return count
}

/** Steps, attempts and the like of runs that ended long ago. @returns the runs whose records were removed, or would be */
export async function pruneRuns({ store, policy, isDryRun, signal }: PruneInput): Promise<number> {
  if (policy.runsMs === null) return 0
  const endedBefore = store.now() - policy.runsMs
  let count = 0
  let afterRunId: RunId | undefined
  for (;;) {
    signal.throwIfAborted()
    const after = afterRunId === undefined ? {} : { afterRunId }
    const runIds = await store.read.listPrunableRuns({ endedBefore, countMax: 200, ...after })
    for (const runId of isDryRun ? [] : runIds) await removeRun(store, { runId, endedBefore }, signal)
    count += runIds.length
    afterRunId = runIds.at(-1)
    if (afterRunId === undefined) return count
  }
}

async function removeRun(
  store: Store,
  run: { readonly runId: RunId; readonly endedBefore: number },
  signal: AbortSignal,
): Promise<void> {
  for (let isDone = false; !isDone; ) {
    const pruned = await atEase(signal, () => store.write.pruneRun({ ...run, countMax: ROW_COUNT }))
    isDone = pruned.isDone
  }
}

/** Rests as long as it took: at least half of the store's time stays for leases and people. */
async function atEase<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  signal.throwIfAborted()
  const startedAt = performance.now()
  const value = await work()
  await pause(performance.now() - startedAt, undefined, { signal })
  return value
}
