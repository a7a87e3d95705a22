import { join } from 'node:path'
import type { LogChunk } from '../attempt-log.ts'
import type { GrowthWatch, LogGrowth } from './log-growth.ts'
import { isOutput } from './log-record.ts'
import { EMPTY_STATE, type LogState } from './log-state.ts'
import { findEnd, findIndexed, openIfPresent, RECORDS_FILE, type Scanned, scanRecords } from './scan-log.ts'

export type ReadLogOptions = {
  readonly fromOffset?: number
  readonly byteCountMax?: number
  readonly follow?: boolean
  readonly signal?: AbortSignal
}

/** Chunks of the log in the folder; see `AttemptLogs.read`. */
export async function* readLog(
  folder: string,
  growth: LogGrowth,
  options: ReadLogOptions,
): AsyncGenerator<LogChunk> {
  const { signal, follow = false } = options
  const from = await toStartOffset(folder, options.fromOffset ?? 0)
  const end = from + (options.byteCountMax ?? Number.POSITIVE_INFINITY)
  let state = await findStart(folder, from)
  let watch: GrowthWatch | undefined
  try {
    while (!isAborted(signal) && state.endOffset < end) {
      if (follow) watch ??= growth.watch(folder)
      const grown = watch?.next(signal)
      for await (const scanned of scanFile(folder, state)) {
        state = scanned.after
        const chunk = cut(scanned, from, end)
        if (chunk !== undefined) yield chunk
        if (isAborted(signal) || state.endOffset >= end) return
      }
      if (!follow || state.isClosed) return
      await grown
    }
  } finally {
    watch?.close()
  }
}

/** A call, so that the compiler does not take the answer of before an `await` for the one of after it. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}

async function toStartOffset(folder: string, fromOffset: number): Promise<number> {
  if (fromOffset >= 0) return fromOffset
  return Math.max(0, ((await findEnd(folder))?.endOffset ?? 0) + fromOffset)
}

/** The index may be of a tail that was cut since; then the scan begins at the beginning. */
async function findStart(folder: string, offset: number): Promise<LogState> {
  const indexed = await findIndexed(folder, offset)
  if (indexed === EMPTY_STATE) return EMPTY_STATE
  const end = await findEnd(folder)
  return end !== undefined && end.fileByteCount >= indexed.fileByteCount ? indexed : EMPTY_STATE
}

async function* scanFile(folder: string, from: LogState): AsyncGenerator<Scanned> {
  const file = await openIfPresent(join(folder, RECORDS_FILE))
  if (file === undefined) return
  try {
    yield* scanRecords(file, from)
  } finally {
    await file.close()
  }
}

/** The part of the record that was asked for. */
function cut({ record, before, after }: Scanned, from: number, end: number): LogChunk | undefined {
  if (!isOutput(record.kind)) return undefined
  const first = Math.max(from, before.endOffset)
  const last = Math.min(end, after.endOffset)
  if (first >= last) return undefined
  const data = Uint8Array.from(record.data.subarray(first - before.endOffset, last - before.endOffset))
  return { offset: first, at: record.at, stream: record.kind, data }
}
