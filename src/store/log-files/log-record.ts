/**
 * A log is a file of records: a head of 24 bytes, then data. The checksum over both tells a whole record from a
 * torn one. Numbers are big-endian.
 *
 *     0  mark     u8   0xa7
 *     1  kind     u8
 *     2  zero     u16
 *     4  length   u32  bytes of data
 *     8  at       f64  ms since the epoch
 *    16  checksum u32  CRC-32 of bytes 0 to 15 and of the data
 *    20  zero     u32
 */
import { crc32 } from 'node:zlib'
import type { LogStream } from '../attempt-log.ts'

export const HEAD_BYTE_COUNT = 24
/** Longest data of one record, bytes: what a reader holds in memory at a time */
export const DATA_BYTE_COUNT_MAX = 256 * 1024

const MARK = 0xa7

/** `begin`: whose log it is, as JSON; `dropped`: bytes not kept so far, per stream; `end`: no more comes. */
const KINDS = ['begin', 'stdout', 'stderr', 'system', 'dropped', 'end'] as const
export type RecordKind = (typeof KINDS)[number]

export type LogRecord = { readonly kind: RecordKind; readonly at: number; readonly data: Buffer }

export function encodeRecord(kind: RecordKind, at: number, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTE_COUNT + data.length)
  bytes.writeUInt8(MARK, 0)
  bytes.writeUInt8(KINDS.indexOf(kind), 1)
  bytes.writeUInt32BE(data.length, 4)
  bytes.writeDoubleBE(at, 8)
  bytes.set(data, HEAD_BYTE_COUNT)
  bytes.writeUInt32BE(checksum(bytes, data), 16)
  return bytes
}

/** Length of the record's data, or `undefined` when this is not the head of a record. */
export function parseHead(head: Buffer): { kind: RecordKind; at: number; byteCount: number } | undefined {
  if (head.length < HEAD_BYTE_COUNT || head.readUInt8(0) !== MARK) return undefined
  const kind = KINDS[head.readUInt8(1)]
  const byteCount = head.readUInt32BE(4)
  if (kind === undefined || byteCount > DATA_BYTE_COUNT_MAX) return undefined
  return { kind, at: head.readDoubleBE(8), byteCount }
}

export function isWhole(head: Buffer, data: Buffer): boolean {
  return head.readUInt32BE(16) === checksum(head, data)
}

function checksum(head: Buffer, data: Uint8Array): number {
  return crc32(data, crc32(head.subarray(0, 16)))
}

/** Whether the record's data are output; a `LogStream` has the name of its records. */
export function isOutput(kind: RecordKind): kind is LogStream {
  return kind === 'stdout' || kind === 'stderr' || kind === 'system'
}

export type Dropped = { readonly stdout: number; readonly stderr: number }

export function encodeDropped({ stdout, stderr }: Dropped): Buffer {
  const data = Buffer.alloc(16)
  data.writeDoubleBE(stdout, 0)
  data.writeDoubleBE(stderr, 8)
  return data
}

export function parseDropped(data: Buffer): Dropped {
  return { stdout: data.readDoubleBE(0), stderr: data.readDoubleBE(8) }
}
