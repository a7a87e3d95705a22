import { open } from 'node:fs/promises'
import { hostname } from 'node:os'
import { StoreError } from '../errors.ts'
import type { Migration } from '../migrations/migration.ts'
import { type Connection, openConnection } from './connection.ts'
import { APPLICATION_ID, assertNotNewer, inspectFile, toCanonicalPath } from './inspect-file.ts'
import { readVersion } from './migrate.ts'
import { acquireStoreLock, toLockedError } from './store-lock.ts'
import { toStoreError } from './to-store-error.ts'

/** A file that is ours alone, ready to be migrated. */
export type OpenFile = {
  /** The canonical path, or `:memory:` */
  readonly path: string
  readonly writer: Connection
  /** Gives back connection and lock. May be called twice. */
  close(): void
}

/** A file up to this size is checked as a whole when it is opened, bytes; it takes a fraction of a second. */
const CHECKED_BYTE_COUNT_MAX = 64 * 1024 * 1024
const WAL_BYTE_COUNT_MAX = 64 * 1024 * 1024

/** Files open in this process: a second lock of the same process would not be refused by the system. */
const openPaths = new Set<string>()

export async function openFile(path: string, migrations: readonly Migration[]): Promise<OpenFile> {
  if (path === ':memory:') {
    const writer = openConnection(':memory:')
    return { path, writer, close: () => writer.close() }
  }
  const canonical = await toCanonicalPath(path)
  if (openPaths.has(canonical)) throw toLockedError(path, { pid: process.pid, host: hostname() })
  openPaths.add(canonical)
  try {
    return await openExclusively(canonical, migrations)
  } catch (error) {
    openPaths.delete(canonical)
    throw toStoreError(error, path)
  }
}

async function openExclusively(path: string, migrations: readonly Migration[]): Promise<OpenFile> {
  const state = await inspectFile(path, migrations.length)
  const lock = acquireStoreLock(path)
  let writer: Connection | undefined
  const close = () => {
    writer?.close()
    lock.release()
    openPaths.delete(path)
  }
  try {
    if (state.kind === 'new') await createPrivately(path)
    writer = openConnection(path)
    prepare(writer, path, state.kind === 'ours' ? state.byteCount : 0)
    assertNotNewer(path, readVersion(writer), migrations.length)
    return { path, writer, close }
  } catch (error) {
    close()
    throw error
  }
}

/** Readable by its owner only: titles, bodies and hashes of tokens are in it. */
async function createPrivately(path: string): Promise<void> {
  const file = await open(path, 'a', 0o600)
  await file.close()
}

function prepare(writer: Connection, path: string, byteCount: number): void {
  if (byteCount > 0 && byteCount <= CHECKED_BYTE_COUNT_MAX) assertSound(writer, path)
  // Before WAL, so that the mark is in the file itself and never only in the log beside it.
  if (Number(writer.value('pragma application_id')) !== APPLICATION_ID) {
    writer.exec(`pragma application_id = ${APPLICATION_ID}`)
  }
  writer.exec('pragma journal_mode = wal')
  writer.exec('pragma synchronous = full')
  writer.exec(`pragma journal_size_limit = ${WAL_BYTE_COUNT_MAX}`)
  // A file that cannot be written is known now, not at the first ticket. A write that is taken back: `begin` alone
  // does not complain.
  writer.exec(`begin immediate; pragma user_version = ${readVersion(writer)}; rollback`)
}

function assertSound(writer: Connection, path: string): void {
  const answer = writer.value('pragma quick_check(1)')
  if (answer === 'ok') return
  throw new StoreError('corrupt', `${path} is damaged: restore a backup; SQLite says: ${String(answer)}`)
}
