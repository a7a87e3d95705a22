import { access, constants, open, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { StoreError } from '../errors.ts'
import { openConnection } from './connection.ts'
import { isSqliteError, toStoreError } from './to-store-error.ts'

/** "Swrm": stands in the file's header and says whose it is. */
export const APPLICATION_ID = 0x5377_726d

const MAGIC = 'SQLite format 3\0'
const HEADER_BYTE_COUNT = 100

export type FileState =
  | { readonly kind: 'new' }
  /** A store; `version` as the header has it */
  | { readonly kind: 'ours'; readonly version: number; readonly byteCount: number }

/**
 * Looks at the file without changing it, also not by a lock or a journal.
 * NOTE: must not be called for a file that this process has open: closing any descriptor of a file drops all
 * locks that the process holds on it.
 */
export async function inspectFile(path: string, versionMax: number): Promise<FileState> {
  const header = await readHeader(path)
  if (header === undefined) return { kind: 'new' }
  const { bytes, byteCount } = header
  if (byteCount === 0) return { kind: 'new' }
  if (bytes.length < HEADER_BYTE_COUNT || bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) {
    throw new StoreError(
      'corrupt',
      `${path} is not an SQLite database, or its head is damaged; it was not touched`,
    )
  }
  const applicationId = bytes.readUInt32BE(68)
  const version = bytes.readUInt32BE(60)
  if (applicationId !== APPLICATION_ID) {
    if (applicationId === 0 && isWithoutTables(path)) return { kind: 'new' }
    throw new StoreError(
      'foreign_file',
      `${path} belongs to another program; it was not touched: give the store a path of its own`,
    )
  }
  assertNotNewer(path, version, versionMax)
  return { kind: 'ours', version, byteCount }
}

export function assertNotNewer(path: string, version: number, versionMax: number): void {
  if (version <= versionMax) return
  throw new StoreError(
    'newer_version',
    `${path} has version ${version}, this program knows up to ${versionMax}: install the newer program, or restore ${path}.backup-v${versionMax}; nothing was changed`,
  )
}

/** The file's one name, so that two ways to it are recognised as one. */
export async function toCanonicalPath(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
  }
  try {
    return join(await realpath(dirname(path)), basename(path))
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
    throw new StoreError('unavailable', `cannot open ${path}: the folder ${dirname(path)} does not exist`, {
      cause: error,
    })
  }
}

async function readHeader(path: string): Promise<{ bytes: Buffer; byteCount: number } | undefined> {
  try {
    const found = await stat(path)
    if (!found.isFile()) throw new StoreError('unavailable', `cannot open ${path}: it is not a file`)
    await access(path, constants.W_OK)
    return { bytes: await readStart(path), byteCount: found.size }
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    if (error instanceof StoreError) throw error
    if (isErrno(error, 'EACCES') || isErrno(error, 'EROFS') || isErrno(error, 'EPERM')) {
      throw new StoreError('read_only', `cannot write ${path}: the file is read-only for this user`, {
        cause: error,
      })
    }
    throw new StoreError('unavailable', `cannot read ${path}: ${String(error)}`, { cause: error })
  }
}

async function readStart(path: string): Promise<Buffer> {
  const file = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER_BYTE_COUNT), 0, HEADER_BYTE_COUNT, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

function isWithoutTables(path: string): boolean {
  const url = pathToFileURL(path)
  url.search = '?immutable=1'
  try {
    const connection = openConnection(url, { isReadOnly: true })
    try {
      return connection.value('select count(*) from sqlite_master') === 0
    } finally {
      connection.close()
    }
  } catch (error) {
    throw isSqliteError(error) ? toStoreError(error, path) : error
  }
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
