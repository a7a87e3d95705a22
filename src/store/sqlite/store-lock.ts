/**
 * One coordinator per file. The lock is SQLite's own lock on a small database beside the file: the operating
 * system drops it with the process, whatever way that ends, so there is never a stale one to remove.
 */
import { randomUUID } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { hostname } from 'node:os'
import { StoreError } from '../errors.ts'
import { type Connection, openConnection } from './connection.ts'
import { isBusy, isRefusedByFileSystem, toStoreError } from './to-store-error.ts'

export type StoreLock = {
  /** May be called twice. */
  release(): void
}

type Holder = { readonly token: string; readonly pid: number; readonly host: string }

const ROUND_COUNT_MAX = 10
const BUSY_TIMEOUT_MS = 250

/**
 * Takes the lock or throws `StoreError` with code `locked`, naming the holder's process and host.
 *
 * Holding is an open write transaction: it keeps other writers out while readers still see who holds. The
 * holder's row must be committed before it, so between the two somebody else may come first; then it is theirs.
 */
export function acquireStoreLock(path: string): StoreLock {
  const lockPath = `${path}.lock`
  createPrivately(lockPath)
  let connection: Connection
  try {
    connection = openConnection(lockPath, { busyTimeoutMs: BUSY_TIMEOUT_MS })
  } catch (error) {
    throw toRefusal(error, lockPath)
  }
  try {
    hold(connection, path)
  } catch (error) {
    connection.close()
    throw toRefusal(error, lockPath)
  }
  return { release: () => connection.close() }
}

/** Who can read the file can lock it against us, so that is its owner only. */
function createPrivately(lockPath: string): void {
  try {
    closeSync(openSync(lockPath, 'a', 0o600))
  } catch {
    // Opening it as a database fails next, and says why in the store's own words.
  }
}

/** The folder is there: a lock file that cannot be made in it means that it is read-only. */
function toRefusal(error: unknown, lockPath: string): unknown {
  if (!isRefusedByFileSystem(error)) return toStoreError(error, lockPath)
  const why = `cannot write ${lockPath}: its folder is read-only, or not writable by this user`
  return new StoreError('read_only', why, { cause: error })
}

function hold(connection: Connection, path: string): void {
  const mine: Holder = { token: randomUUID(), pid: process.pid, host: hostname() }
  for (let round = 0; round < ROUND_COUNT_MAX; round++) {
    begin(connection, path)
    if (findHolder(connection)?.token === mine.token) return
    writeHolder(connection, mine)
    connection.exec('commit')
  }
  throw new StoreError('locked', `cannot open ${path}: several coordinators are starting on it at once`)
}

function begin(connection: Connection, path: string): void {
  try {
    connection.exec('begin immediate')
  } catch (error) {
    if (!isBusy(error)) throw error
    throw toLockedError(path, findHolder(connection))
  }
}

function writeHolder(connection: Connection, { token, pid, host }: Holder): void {
  connection.exec(
    'create table if not exists holder (token text not null, pid integer not null, host text not null)',
  )
  connection.exec('delete from holder')
  connection.run('insert into holder (token, pid, host) values (?, ?, ?)', [token, pid, host])
}

function findHolder(connection: Connection): Holder | undefined {
  const hasTable = connection.value("select count(*) from sqlite_master where name = 'holder'") === 1
  if (!hasTable) return undefined
  return connection.run('select token, pid, host from holder', []).rows[0] as Holder | undefined
}

export function toLockedError(path: string, holder: Pick<Holder, 'pid' | 'host'> | undefined): StoreError {
  const who = holder === undefined ? 'another process' : `process ${holder.pid} on ${holder.host}`
  return new StoreError('locked', `cannot open ${path}: ${who} is its coordinator; stop that one first`)
}
