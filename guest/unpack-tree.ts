import { constants } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, rm, symlink } from 'node:fs/promises'
import { join, posix } from 'node:path'
import type { Readable } from 'node:stream'
import { GuestError } from './guest-error.ts'
import { paddingOf, parsePaxRecords, parseTarBlock, TAR_BLOCK_BYTES, type TarEntry } from './tar-header.ts'

const RECORDS_BYTES_MAX = 64 * 1024
const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants

/**
 * Unpacks a tar stream below `root`. Every name is checked before anything is made, no symbolic link is ever
 * followed, and what is not a file, a directory or a link inside `root` is refused.
 */
export async function unpackTree(tar: Readable, root: string): Promise<void> {
  await mkdir(root, { recursive: true })
  const reader = new ByteReader(tar)
  let overrides: { path?: string; linkpath?: string; size?: string } = {}
  for (let zeros = 0; zeros < 2; ) {
    const bytes = await reader.take(TAR_BLOCK_BYTES)
    if (bytes.length === 0 && zeros > 0) break
    if (bytes.length < TAR_BLOCK_BYTES) throw new GuestError('tar_invalid', 'the tar stream is cut off')
    const block = parseTarBlock(bytes)
    if (block.type === 'zero') {
      zeros++
      continue
    }
    zeros = 0
    if (block.type === 'entry') {
      await unpackEntry(reader, root, withOverrides(block.entry, overrides))
      overrides = {}
      continue
    }
    if (block.size > RECORDS_BYTES_MAX) throw new GuestError('tar_invalid', 'a tar record is too long')
    const records = await reader.takeExactly(block.size)
    await reader.takeExactly(paddingOf(block.size))
    const text = records.toString('utf8').replace(/\0.*$/s, '')
    if (block.type === 'pax') overrides = { ...overrides, ...parsePaxRecords(records) }
    else if (block.type === 'long-name') overrides = { ...overrides, path: text }
    else if (block.type === 'long-target') overrides = { ...overrides, linkpath: text }
  }
  await reader.drain()
}

function withOverrides(
  entry: TarEntry,
  { path, linkpath, size }: { path?: string; linkpath?: string; size?: string },
): TarEntry {
  const bytes = size === undefined ? entry.size : Number(size)
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw new GuestError('tar_invalid', 'a size is no number')
  return {
    ...entry,
    name: path ?? entry.name,
    target: linkpath ?? entry.target,
    size: entry.kind === 'file' ? bytes : 0,
  }
}

async function unpackEntry(reader: ByteReader, root: string, entry: TarEntry): Promise<void> {
  const segments = toSegments(entry.name)
  const path = join(root, ...segments)
  if (segments.length === 0) {
    if (entry.kind !== 'directory') throw new GuestError('path_refused', `${entry.name} replaces the root`)
    return
  }
  await makeParents(root, segments)
  if (entry.kind === 'directory') return await makeDirectory(path, entry.mode)
  await removeInTheWay(path)
  if (entry.kind === 'symlink') {
    refuseEscape(entry.name, segments, entry.target)
    await symlink(entry.target, path)
    return
  }
  const file = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
  try {
    await reader.copy(entry.size, file)
    await file.chmod(entry.mode === 0 ? 0o644 : entry.mode)
  } finally {
    await file.close()
  }
  await reader.takeExactly(paddingOf(entry.size))
}

/** The parts of a name that stays inside; anything else is refused. */
function toSegments(name: string): readonly string[] {
  const segments = name.split('/').filter((segment) => segment !== '' && segment !== '.')
  if (name === '' || name.includes('\0') || name.startsWith('/') || segments.includes('..')) {
    throw new GuestError('path_refused', `${JSON.stringify(name.slice(0, 200))} leads out of the directory`)
  }
  return segments
}

/** A link may point inside only, told from its text: it is never resolved here. */
function refuseEscape(name: string, segments: readonly string[], target: string): void {
  const resolved = posix.normalize(posix.join(...segments.slice(0, -1), target))
  const leadsOut = target.startsWith('/') || resolved === '..' || resolved.startsWith('../')
  if (target === '' || target.includes('\0') || leadsOut) {
    throw new GuestError('path_refused', `the link ${name.slice(0, 200)} leads out of the directory`)
  }
}

async function makeParents(root: string, segments: readonly string[]): Promise<void> {
  for (let depth = 1; depth < segments.length; depth++) {
    await makeDirectory(join(root, ...segments.slice(0, depth)), 0o755)
  }
}

async function makeDirectory(path: string, mode: number): Promise<void> {
  const found = await lstat(path).catch(ignoreAbsent)
  if (found === undefined) await mkdir(path, { mode: mode | 0o700 })
  else if (!found.isDirectory()) throw new GuestError('path_refused', `${path} is in the way of a directory`)
}

async function removeInTheWay(path: string): Promise<void> {
  const found = await lstat(path).catch(ignoreAbsent)
  if (found === undefined) return
  if (found.isDirectory())
    throw new GuestError('path_refused', `the directory ${path} is in the way of a file`)
  await rm(path)
}

function ignoreAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}

/** Takes exact numbers of bytes off a stream. */
class ByteReader {
  readonly #chunks: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)

  constructor(stream: Readable) {
    this.#chunks = stream[Symbol.asyncIterator]()
  }

  /** The bytes wanted, fewer only at the end of the stream; for small numbers. */
  async take(bytes: number): Promise<Buffer> {
    while (this.#rest.length < bytes) {
      const { value, done } = await this.#chunks.next()
      if (done) break
      this.#rest = Buffer.concat([this.#rest, value])
    }
    const taken = this.#rest.subarray(0, bytes)
    this.#rest = this.#rest.subarray(taken.length)
    return taken
  }

  async takeExactly(bytes: number): Promise<Buffer> {
    const taken = await this.take(bytes)
    if (taken.length < bytes) throw new GuestError('tar_invalid', 'the tar stream is cut off')
    return taken
  }

  async copy(bytes: number, file: FileHandle): Promise<void> {
    for (let left = bytes; left > 0; ) {
      if (this.#rest.length === 0) {
        const { value, done } = await this.#chunks.next()
        if (done) throw new GuestError('tar_invalid', 'the tar stream is cut off')
        this.#rest = value
      }
      const part = this.#rest.subarray(0, left)
      await file.writeFile(part)
      this.#rest = this.#rest.subarray(part.length)
      left -= part.length
    }
  }

  async drain(): Promise<void> {
    while (!(await this.#chunks.next()).done) this.#rest = Buffer.alloc(0)
  }
}
