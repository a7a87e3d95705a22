import type { LogPosition } from '../attempt-log.ts'
import { HEAD_BYTE_COUNT, isOutput, type LogRecord, parseDropped } from './log-record.ts'

/** Where a scan of the file stands; the position is what its records add up to. */
export type LogState = {
  /** Bytes of the file that are whole records */
  readonly fileByteCount: number
  /** Bytes of output in the file */
  readonly endOffset: number
  /** Bytes kept, per stream */
  readonly stdoutKept: number
  readonly stderrKept: number
  /** Bytes counted and not kept, per stream */
  readonly stdoutDropped: number
  readonly stderrDropped: number
  readonly isTruncated: boolean
  readonly isClosed: boolean
}

export const EMPTY_STATE: LogState = {
  fileByteCount: 0,
  endOffset: 0,
  stdoutKept: 0,
  stderrKept: 0,
  stdoutDropped: 0,
  stderrDropped: 0,
  isTruncated: false,
  isClosed: false,
}

export function addRecord(state: LogState, record: LogRecord): LogState {
  const fileByteCount = state.fileByteCount + HEAD_BYTE_COUNT + record.data.length
  const byteCount = record.data.length
  if (record.kind === 'end') return { ...state, fileByteCount, isClosed: true }
  if (record.kind === 'dropped') {
    const { stdout, stderr } = parseDropped(record.data)
    return { ...state, fileByteCount, stdoutDropped: stdout, stderrDropped: stderr, isTruncated: true }
  }
  if (!isOutput(record.kind)) return { ...state, fileByteCount }
  return {
    ...state,
    fileByteCount,
    endOffset: state.endOffset + byteCount,
    stdoutKept: state.stdoutKept + (record.kind === 'stdout' ? byteCount : 0),
    stderrKept: state.stderrKept + (record.kind === 'stderr' ? byteCount : 0),
  }
}

export function toPosition(state: LogState): LogPosition {
  return {
    endOffset: state.endOffset,
    stdoutOffset: state.stdoutKept + state.stdoutDropped,
    stderrOffset: state.stderrKept + state.stderrDropped,
    isTruncated: state.isTruncated,
    isClosed: state.isClosed,
  }
}
