import { type FileHandle, mkdir, open, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AttemptLogWriter, AttemptRef, LogStream } from '../attempt-log.ts'
import { StoreError } from '../errors.ts'
import { encodeEntry, INDEX_STEP_BYTES } from './log-index.ts'
import {
  DATA_BYTE_COUNT_MAX,
  encodeDropped,
  encodeRecord,
  HEAD_BYTE_COUNT,
  type RecordKind,
} from './log-record.ts'
import { addRecord, EMPTY_STATE, type LogState, toPosition } from './log-state.ts'
import { INDEX_FILE, RECORDS_FILE, scanRecords, withFile } from './scan-log.ts'

export type LogWriterOptions = {
  readonly folder: string
  readonly ref: AttemptRef
  /** Longest file of records, bytes; what comes after is counted and dropped */
  readonly byteCountMax: number
  readonly now: () => number
  /** Called when readers may find more */
  readonly onGrowth: () => void
  /** Called once the file is closed */
  readonly onClosed: () => void
}

/** Dropped bytes between two notes of how many they are */
const DROP_NOTE_STEP_BYTES = 1024 * 1024

/** Opens for appending, cutting what a crash has left torn. */
export async function openLogWriter(options: LogWriterOptions): Promise<AttemptLogWriter> {
  const { folder, ref } = options
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const found = await recover(folder)
  const records = await open(join(folder, RECORDS_FILE), 'a', 0o600)
  const index = await open(join(folder, INDEX_FILE), 'a', 0o600)
  const writer = createWriter(options, { records, index }, found)
  if (found.fileByteCount === 0) await writer.begin(JSON.stringify(ref))
  if (found.isClosed) await writer.close()
  return writer
}

/**
 * Scans the whole file: after a loss of power the index may promise more than is there. Then both files end
 * where the whole records end.
 */
async function recover(folder: string): Promise<LogState> {
  const path = join(folder, RECORDS_FILE)
  let state = EMPTY_STATE
  const entries: Buffer[] = []
  await withFile(path, async (file) => {
    let indexedAt = 0
    for await (const { after } of scanRecords(file, state)) {
      state = after
      if (state.fileByteCount - indexedAt < INDEX_STEP_BYTES) continue
      indexedAt = state.fileByteCount
      entries.push(encodeEntry(state))
    }
    const { size } = await file.stat()
    if (size > state.fileByteCount) await truncate(path, state.fileByteCount)
  })
  await writeFile(join(folder, INDEX_FILE), Buffer.concat(entries), { mode: 0o600 })
  return state
}

type Writer = AttemptLogWriter & { begin(head: string): Promise<void> }

function createWriter(
  { byteCountMax, now, onGrowth, onClosed }: LogWriterOptions,
  files: { records: FileHandle; index: FileHandle },
  found: LogState,
): Writer {
  /** State including what is queued */
  let state = found
  let indexedAt = found.fileByteCount
  let notedDropCount = found.stdoutDropped + found.stderrDropped
  let queued: Buffer[] = []
  let queuedEntries: Buffer[] = []
  let flushing: Promise<void> | undefined
  let isOpen = true
  let closing: Promise<void> | undefined
  let failure: StoreError | undefined

  function add(kind: RecordKind, data: Uint8Array): void {
    const bytes = encodeRecord(kind, now(), data)
    queued.push(bytes)
    state = addRecord(state, { kind, at: 0, data: bytes.subarray(HEAD_BYTE_COUNT) })
    if (state.fileByteCount - indexedAt < INDEX_STEP_BYTES) return
    indexedAt = state.fileByteCount
    queuedEntries.push(encodeEntry(state))
  }

  /** One write for all that came while the last one was under way. */
  function flush(): Promise<void> {
    flushing ??= (async () => {
      // Lets the callers of this turn add theirs first.
      await Promise.resolve()
      try {
        while (queued.length > 0) {
          const [records, entries] = [Buffer.concat(queued), Buffer.concat(queuedEntries)]
          queued = []
          queuedEntries = []
          await files.records.appendFile(records)
          if (entries.length > 0) await files.index.appendFile(entries)
          onGrowth()
        }
      } catch (error) {
        // The file may end in half a record: nothing goes behind it. The next `open` cuts it and goes on.
        failure = toLogError(error)
        isOpen = false
        await closeFiles()
        throw failure
      } finally {
        flushing = undefined
      }
    })()
    return flushing
  }

  function keep(stream: LogStream, data: Uint8Array): void {
    for (let at = 0; at < data.length; at += DATA_BYTE_COUNT_MAX) {
      const part = data.subarray(at, at + DATA_BYTE_COUNT_MAX)
      const room = byteCountMax - state.fileByteCount - HEAD_BYTE_COUNT
      if (state.isTruncated || room <= 0) {
        drop(stream, data.length - at)
        return
      }
      add(stream, part.subarray(0, room))
      if (part.length > room) drop(stream, part.length - room)
    }
  }

  function drop(stream: LogStream, byteCount: number): void {
    state = {
      ...state,
      isTruncated: true,
      stdoutDropped: state.stdoutDropped + (stream === 'stdout' ? byteCount : 0),
      stderrDropped: state.stderrDropped + (stream === 'stderr' ? byteCount : 0),
    }
    const dropCount = state.stdoutDropped + state.stderrDropped
    if (notedDropCount === 0 || dropCount - notedDropCount >= DROP_NOTE_STEP_BYTES) noteDrop()
  }

  function noteDrop(): void {
    notedDropCount = state.stdoutDropped + state.stderrDropped
    add('dropped', encodeDropped({ stdout: state.stdoutDropped, stderr: state.stderrDropped }))
  }

  async function end(): Promise<void> {
    if (!state.isClosed) {
      if (state.stdoutDropped + state.stderrDropped !== notedDropCount) noteDrop()
      add('end', new Uint8Array())
      await flush()
      await files.records.datasync()
    }
    await closeFiles()
  }

  async function closeFiles(): Promise<void> {
    await files.records.close()
    await files.index.close()
    onClosed()
  }

  return {
    get position() {
      return toPosition(state)
    },
    async begin(head) {
      add('begin', Buffer.from(head))
      await flush()
    },
    async append(stream, data) {
      if (failure !== undefined) throw failure
      if (!isOpen) throw new StoreError('conflict', 'this log has ended: nothing is appended to it')
      if (data.length === 0) return
      keep(stream, data)
      await flush()
    },
    async close() {
      isOpen = false
      if (failure !== undefined) return
      closing ??= end()
      await closing
    },
  }
}

function toLogError(error: unknown): StoreError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const isFull = code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG'
  return new StoreError(isFull ? 'disk_full' : 'unavailable', `cannot append to a log: ${String(error)}`, {
    cause: error,
  })
}
