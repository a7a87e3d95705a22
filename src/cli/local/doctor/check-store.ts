import { type FileHandle, open } from 'node:fs/promises'
import type { Config } from '../../../config/config.ts'
import { loadSecrets } from '../../../config/secrets.ts'
import { probeStore } from '../../../main.ts'
import type { Environment } from '../../../platform/environment.ts'
import { type Check, fail, ok } from './check.ts'

const SQLITE_MAGIC = 'SQLite format 3\u0000'
const HEADER_BYTES = 100
/** Offset of the application id in the header of the file format */
const APPLICATION_ID_OFFSET = 68

/** Whether the store is there, or can be made. Nothing is opened that could take a lock, nothing is changed. */
export async function checkStore(config: Config, environment: Environment): Promise<Check[]> {
  const { store } = config
  return store.kind === 'sqlite' ? await checkFile(store.path) : await checkDatabase(config, environment)
}

async function checkDatabase(config: Config, environment: Environment): Promise<Check[]> {
  if (config.store.kind !== 'postgres') return []
  try {
    const found = await probeStore(config.store, await loadSecrets(config, environment))
    const what = found.version === null ? 'the store will be made' : `store of version ${found.version}`
    return [ok('store', `${found.label}: PostgreSQL ${found.serverVersion}, ${what}`)]
  } catch (error) {
    if (!(error instanceof Error) || error.name === 'AssertionError') throw error
    return [fail('store', error.message, 'see docs/operations/postgresql.md, or name another store')]
  }
}

/** Whether the file is a database of some program of ours. */
async function checkFile(path: string): Promise<Check[]> {
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
