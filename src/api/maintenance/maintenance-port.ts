/** What the API needs of the coordinator's care for the state directory; the composition root brings it. */
import type { GarbageReportBody } from '../../rest-schema/maintenance.ts'

export type ApiMaintenance = {
  /** @throws the signal's reason */
  collectGarbage(options: {
    readonly isDryRun: boolean
    readonly signal: AbortSignal
  }): Promise<GarbageReportBody>
  /**
   * @param path absolute
   * @throws an error with a `code` and a message for people when the folder cannot be written, or is there
   */
  backUp(options: {
    readonly path: string
    readonly hasLogs: boolean
    readonly signal: AbortSignal
  }): Promise<BackupReport>
  readDisk(): Promise<DiskReport>
}

export type BackupReport = {
  readonly path: string
  readonly fileCount: number
  readonly bytes: number
  readonly lastEventSeq: number
  readonly mirrorCount: number
  readonly createdAt: number
  readonly durationMs: number
}

export type DiskReport = {
  readonly totalBytes: number
  readonly freeBytes: number
  readonly measuredAt: number | null
  readonly bytesByKind: Readonly<Record<string, number>>
}
