/**
 * Beside the records: every so many bytes, the state of a scan at that place, so that reading from the middle and
 * finding the end do not begin at the beginning. It only saves time; what it says is checked against the file.
 */
import type { FileHandle } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import type { LogState } from './log-state.ts'

/** Distance between two entries, bytes of the file */
export const INDEX_STEP_BYTES = 256 * 1024
const ENTRY_BYTE_COUNT = 64

export function encodeEntry(state: LogState): Buffer {
  const entry = Buffer.alloc(ENTRY_BYTE_COUNT)
  const numbers = [
    state.fileByteCount,
    state.endOffset,
    state.stdoutKept,
    state.stderrKept,
    state.stdoutDropped,
    state.stderrDropped,
    state.isTruncated ? 1 : 0,
  ]
  numbers.forEach((number, at) => {
    entry.writeDoubleBE(number, at * 8)
  })
  entry.writeUInt32BE(crc32(entry.subarray(0, 56)), 56)
  return entry
}

/** Every whole entry, in the order of the file; a damaged one ends the list. */
export async function readIndex(file: FileHandle): Promise<readonly LogState[]> {
  const bytes = await file.readFile()
  const entries: LogState[] = []
  for (let at = 0; at + ENTRY_BYTE_COUNT <= bytes.length; at += ENTRY_BYTE_COUNT) {
    const entry = parseEntry(bytes.subarray(at, at + ENTRY_BYTE_COUNT))
    if (entry === undefined) break
    entries.push(entry)
  }
  return entries
}

function parseEntry(entry: Buffer): LogState | undefined {
  if (entry.readUInt32BE(56) !== crc32(entry.subarray(0, 56))) return undefined
  const number = (at: number) => entry.readDoubleBE(at * 8)
  return {
    fileByteCount: number(0),
    endOffset: number(1),
    stdoutKept: number(2),
    stderrKept: number(3),
    stdoutDropped: number(4),
    stderrDropped: number(5),
    isTruncated: number(6) === 1,
    isClosed: false,
  }
}
