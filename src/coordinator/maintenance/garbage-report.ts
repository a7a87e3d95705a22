/** What a round of retention removed, or would have. */
export type GarbageReport = {
  readonly isDryRun: boolean
  readonly eventCount: number
  /** Runs whose steps, attempts and the like were removed */
  readonly runCount: number
  readonly logs: { readonly runCount: number; readonly bytes: number }
  readonly artifacts: { readonly runCount: number; readonly bytes: number }
  /** Names of work in mirrors; `parked`: kept under another name, because no pushed branch holds it */
  readonly work: { readonly deletedCount: number; readonly parkedCount: number }
  readonly compactedMirrorCount: number
  readonly packageCount: number
  readonly durationMs: number
  /** What could not be done or is more than configured, for people */
  readonly problems: readonly string[]
}

/** What lies in the state directory, as the last round of retention measured it. */
export type DiskUsage = {
  readonly measuredAt: number
  /** By kind: `store`, `logs`, `artifacts`, `mirrors`, `registry` */
  readonly bytesByKind: Readonly<Record<string, number>>
}
