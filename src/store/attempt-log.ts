/**
 * Output of an attempt: append-only, bounded, readable while it grows. Output is not events; nothing here is in
 * the database. One writer per attempt (the coordinator that holds the run), any number of readers.
 */
import type { RunId } from '../domain/id.ts'

export type AttemptRef = {
  readonly runId: RunId
  /** `build` or `build[3]` */
  readonly stepKey: string
  /** Counted from 1 */
  readonly attempt: number
}

export type LogStream = 'stdout' | 'stderr' | 'system'

/** One stretch of output of one stream, as it arrived. */
export type LogChunk = {
  /** Offset of the first byte within the attempt's log, all streams together, in bytes of `data` */
  readonly offset: number
  /** Instant of arrival, `ms` since the epoch */
  readonly at: number
  readonly stream: LogStream
  readonly data: Uint8Array
}

export type LogPosition = {
  /** Offset after the last byte of the log */
  readonly endOffset: number
  /** Bytes taken in per stream of the sandbox, so that a re-attached reader knows where it stopped */
  readonly stdoutOffset: number
  readonly stderrOffset: number
  /** The bound was reached: later output was counted and dropped */
  readonly isTruncated: boolean
  /** No more output will come */
  readonly isClosed: boolean
}

export type AttemptLogWriter = {
  readonly position: LogPosition
  /** Order of calls is order in the log. Resolves when the chunk is in the file (not necessarily on the platter). */
  append(stream: LogStream, data: Uint8Array): Promise<void>
  /** Marks the end; a later `open` of the same attempt reads on, it cannot append. May be called twice. */
  close(): Promise<void>
}

export type AttemptLogs = {
  /** Opens for appending; after a crash the position is where the log really ends (a torn tail is cut). */
  open(ref: AttemptRef): Promise<AttemptLogWriter>
  find(ref: AttemptRef): Promise<LogPosition | undefined>
  list(runId: RunId): Promise<readonly (AttemptRef & LogPosition)[]>
  /**
   * Chunks from `fromOffset` (negative: that many bytes before the end), at most `byteCountMax`. With `follow` it goes
   * on until the log is closed or the signal aborts.
   */
  read(
    ref: AttemptRef,
    options: { fromOffset?: number; byteCountMax?: number; follow?: boolean; signal?: AbortSignal },
  ): AsyncIterable<LogChunk>
  /** Deletes all logs of the run. */
  remove(runId: RunId): Promise<void>
}
