import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { readIndex } from './log-index.ts'
import { HEAD_BYTE_COUNT, isWhole, type LogRecord, parseHead } from './log-record.ts'
import { addRecord, EMPTY_STATE, type LogState } from './log-state.ts'

export const RECORDS_FILE = 'records'
export const INDEX_FILE = 'index'

/** How much is read from the file at once, bytes; at least one record of the longest kind fits. */
const WINDOW_BYTE_COUNT = 512 * 1024

/** A record with the states before and after it. */
export type Scanned = { readonly record: LogRecord; readonly before: LogState; readonly after: LogState }

/** The whole records from `from` on; ends at the end of the file, or where it is torn. */
export async function* scanRecords(file: FileHandle, from: LogState): AsyncGenerator<Scanned> {
  let window: Buffer = Buffer.alloc(0)
  let windowAt = from.fileByteCount
  for (let state = from; ; ) {
    const offset = state.fileByteCount - windowAt
    const parsed = parseRecord(window.subarray(offset))
    if (parsed === 'torn') return
    if (parsed === 'short') {
      const next = await readAt(file, state.fileByteCount)
      if (next.length <= window.length - offset) return
      window = next
      windowAt = state.fileByteCount
      continue
    }
    const after = addRecord(state, parsed)
    yield { record: parsed, before: state, after }
    state = after
  }
}

function parseRecord(bytes: Buffer): LogRecord | 'short' | 'torn' {
  if (bytes.length < HEAD_BYTE_COUNT) return 'short'
  const head = parseHead(bytes)
  if (head === undefined) return 'torn'
  const end = HEAD_BYTE_COUNT + head.byteCount
  if (bytes.length < end) return 'short'
  const data = bytes.subarray(HEAD_BYTE_COUNT, end)
  return isWhole(bytes, data) ? { kind: head.kind, at: head.at, data } : 'torn'
}

async function readAt(file: FileHandle, position: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(WINDOW_BYTE_COUNT)
  const { bytesRead } = await file.read(buffer, 0, WINDOW_BYTE_COUNT, position)
  return buffer.subarray(0, bytesRead)
}

/** The last indexed state that is not beyond that offset of the output. */
export async function findIndexed(folder: string, offset: number): Promise<LogState> {
  const entries = await withFile(join(folder, INDEX_FILE), readIndex)
  return entries?.findLast((entry) => entry.endOffset <= offset) ?? EMPTY_STATE
}

export async function openIfPresent(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Where the log ends, or `undefined` when there is none. */
export async function findEnd(folder: string): Promise<LogState | undefined> {
  return await withFile(join(folder, RECORDS_FILE), async (file) => {
    const { size } = await file.stat()
    const indexed = await findIndexed(folder, Number.MAX_SAFE_INTEGER)
    // An index beyond the file is of a tail that was cut.
    let state = indexed.fileByteCount <= size ? indexed : EMPTY_STATE
    for await (const { after } of scanRecords(file, state)) state = after
    return state
  })
}

/** Opens for reading, and closes afterwards; `undefined` when there is no such file. */
export async function withFile<T>(
  path: string,
  work: (file: FileHandle) => Promise<T>,
): Promise<T | undefined> {
  const file = await openIfPresent(path)
  if (file === undefined) return undefined
  try {
    return await work(file)
  } finally {
    await file.close()
  }
}
