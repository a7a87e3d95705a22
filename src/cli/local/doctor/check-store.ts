import { type FileHandle, open } from 'node:fs/promises'
import { type Check, fail, ok } from './check.ts'

const SQLITE_MAGIC = 'SQLite format 3\u0000'
const HEADER_BYTES = 100
/** Offset of the application id in the header of the file format */
const APPLICATION_ID_OFFSET = 68

/** Whether the file is a database of some program of ours. Nothing is opened that could take a lock. */
export async function checkStore(path: string): Promise<Check[]> {
  const fix = 'name another file: store in the configuration'
  let handle: FileHandle | undefined
  try {
    handle = await open(path, 'r+')
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0)
    // SQLite makes the file first and writes the header with the first transaction.
    if (bytesRead === 0) return [ok('store', `${path} is empty`)]
    if (bytesRead < HEADER_BYTES || buffer.toString('latin1', 0, SQLITE_MAGIC.length) !== SQLITE_MAGIC) {
      return [fail('store', `${path} is no SQLite database`, fix)]
    }
    if (buffer.readUInt32BE(APPLICATION_ID_OFFSET) === 0) {
      return [fail('store', `${path} belongs to another program; it will not be touched`, fix)]
    }
    return [ok('store', path)]
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT') return [ok('store', `${path} will be made`)]
    return [fail('store', `cannot open ${path}: ${code}`, 'check who owns it and its disk')]
  } finally {
    await handle?.close()
  }
}
