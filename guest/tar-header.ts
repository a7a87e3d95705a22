/** Headers of the tar format (ustar with pax records), read strictly and written plainly. */
import { GuestError } from './guest-error.ts'

export const TAR_BLOCK_BYTES = 512

export type TarEntry = {
  readonly name: string
  readonly kind: 'file' | 'directory' | 'symlink'
  readonly mode: number
  readonly size: number
  readonly target: string
}

/** What a block says: an entry, records for the next entry, the end, or something that is refused. */
export type TarBlock =
  | { readonly type: 'entry'; readonly entry: TarEntry }
  | { readonly type: 'pax' | 'long-name' | 'long-target' | 'global'; readonly size: number }
  | { readonly type: 'zero' }

const KINDS: Readonly<Record<string, TarEntry['kind']>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '2': 'symlink',
  '5': 'directory',
}
const REFUSED: Readonly<Record<string, string>> = {
  '1': 'a hard link',
  '3': 'a character device',
  '4': 'a block device',
  '6': 'a named pipe',
  S: 'a sparse file',
}

export function parseTarBlock(block: Buffer): TarBlock {
  if (block.every((byte) => byte === 0)) return { type: 'zero' }
  if (parseNumber(block, 148, 8) !== checksumOf(block))
    throw new GuestError('tar_invalid', 'checksum of a tar header')
  const flag = String.fromCharCode(block[156] ?? 0)
  const size = parseNumber(block, 124, 12)
  if (flag === 'x') return { type: 'pax', size }
  if (flag === 'g') return { type: 'global', size }
  if (flag === 'L') return { type: 'long-name', size }
  if (flag === 'K') return { type: 'long-target', size }
  const kind = KINDS[flag]
  const isUstar = block.subarray(257, 262).toString('latin1') === 'ustar'
  const prefix = isUstar && block[263] === 0x30 ? parseText(block, 345, 155) : ''
  const name = parseText(block, 0, 100)
  const fullName = prefix === '' ? name : `${prefix}/${name}`
  if (kind === undefined) {
    throw new GuestError('path_refused', `${fullName} is ${REFUSED[flag] ?? 'of an unknown kind'}`)
  }
  return {
    type: 'entry',
    entry: {
      name: fullName,
      kind: kind === 'file' && fullName.endsWith('/') ? 'directory' : kind,
      mode: parseNumber(block, 100, 8) & 0o777,
      size: kind === 'file' ? size : 0,
      target: kind === 'symlink' ? parseText(block, 157, 100) : '',
    },
  }
}

/** Records of a pax header that matter here: `path`, `linkpath`, `size`. */
export function parsePaxRecords(bytes: Buffer): Partial<Record<'path' | 'linkpath' | 'size', string>> {
  const records: Partial<Record<'path' | 'linkpath' | 'size', string>> = {}
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at)
    const length = Number(bytes.subarray(at, space).toString('latin1'))
    const end = at + length
    if (space < 0 || !Number.isSafeInteger(length) || end <= space + 1 || end > bytes.length) {
      throw new GuestError('tar_invalid', 'a pax record is cut off')
    }
    const record = bytes.subarray(space + 1, end - 1).toString('utf8')
    const key = record.slice(0, record.indexOf('='))
    if (key === 'path' || key === 'linkpath' || key === 'size') records[key] = record.slice(key.length + 1)
    at = end
  }
  return records
}

/** The header blocks of an entry; names that do not fit go into a pax header before it. */
export function encodeTarHeader(entry: TarEntry): Buffer {
  const records: string[] = []
  if (Buffer.byteLength(entry.name) > 100 || hasNonAscii(entry.name))
    records.push(paxRecord('path', entry.name))
  if (Buffer.byteLength(entry.target) > 100 || hasNonAscii(entry.target)) {
    records.push(paxRecord('linkpath', entry.target))
  }
  if (entry.size >= 8 ** 11) records.push(paxRecord('size', String(entry.size)))
  const header = encodeBlock(entry, { file: '0', directory: '5', symlink: '2' }[entry.kind])
  if (records.length === 0) return header
  const body = Buffer.from(records.join(''))
  const paxHeader = encodeBlock({ ...entry, name: 'pax', target: '', mode: 0o644, size: body.length }, 'x')
  return Buffer.concat([paxHeader, body, Buffer.alloc(paddingOf(body.length)), header])
}

/** Zero bytes after a body of this size */
export function paddingOf(size: number): number {
  return (TAR_BLOCK_BYTES - (size % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES
}

function encodeBlock({ name, mode, size, target }: TarEntry, flag: string): Buffer {
  const block = Buffer.alloc(TAR_BLOCK_BYTES)
  Buffer.from(name).copy(block, 0, 0, 100)
  writeOctal(block, mode, 100, 8)
  writeOctal(block, 0, 108, 8)
  writeOctal(block, 0, 116, 8)
  writeOctal(block, size >= 8 ** 11 ? 0 : size, 124, 12)
  writeOctal(block, 0, 136, 12)
  block.write(flag, 156, 'latin1')
  Buffer.from(target).copy(block, 157, 0, 100)
  block.write('ustar\x0000', 257, 'latin1')
  block.write(`${checksumOf(block).toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

function writeOctal(block: Buffer, value: number, at: number, length: number): void {
  block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1')
}

function checksumOf(block: Buffer): number {
  let sum = 0
  for (let i = 0; i < TAR_BLOCK_BYTES; i++) sum += i >= 148 && i < 156 ? 0x20 : (block[i] ?? 0)
  return sum
}

/** Octal text, or the binary form with the highest bit set. */
function parseNumber(block: Buffer, at: number, length: number): number {
  const field = block.subarray(at, at + length)
  if (((field[0] ?? 0) & 0x80) !== 0) {
    let value = (field[0] ?? 0) & 0x7f
    for (const byte of field.subarray(1)) value = value * 256 + byte
    if (!Number.isSafeInteger(value))
      throw new GuestError('tar_invalid', 'a number in a tar header is too large')
    return value
  }
  const digits = parseText(block, at, length).trim()
  if (!/^[0-7]*$/.test(digits)) throw new GuestError('tar_invalid', 'a number in a tar header is not octal')
  return digits === '' ? 0 : Number.parseInt(digits, 8)
}

function parseText(block: Buffer, at: number, length: number): string {
  const field = block.subarray(at, at + length)
  const end = field.indexOf(0)
  return field.subarray(0, end < 0 ? length : end).toString('utf8')
}

function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`
  const restBytes = Buffer.byteLength(rest)
  let length = restBytes + String(restBytes).length
  if (restBytes + String(length).length > length) length++
  return `${length}${rest}`
}

function hasNonAscii(text: string): boolean {
  return /[^\x20-\x7e]/.test(text)
}
