/** Looking at a copied store, and bringing one to another place. Nobody has it open. */
import { pathToFileURL } from 'node:url'
import { StoreError } from '../errors.ts'
import { openConnection } from './connection.ts'
import { inspectFile } from './inspect-file.ts'
import { backUp, readVersion } from './migrate.ts'
import { acquireStoreLock } from './store-lock.ts'
import { toStoreError } from './to-store-error.ts'

/** Version and newest event of a copy; leaves no file beside it. */
export async function inspectCopy(path: string): Promise<{ version: number; lastEventSeq: number }> {
  const url = pathToFileURL(path)
  url.search = '?immutable=1'
  const connection = openConnection(url, { isReadOnly: true })
  try {
    const lastEventSeq = Number(connection.value('select max(seq) from events') ?? 0)
    return { version: readVersion(connection), lastEventSeq }
  } catch (error) {
    throw toStoreError(error, path)
  } finally {
    connection.close()
  }
}

/**
 * Checks a copy as a whole, then turns the paths in it that lie in one state directory to another.
 * @throws StoreError `corrupt`, `foreign_file`, `newer_version`
 */
export async function relocateCopy(
  path: string,
  options: { readonly versionMax: number; readonly from: string; readonly to: string },
): Promise<void> {
  const { versionMax, from, to } = options
  const state = await inspectFile(path, versionMax)
  if (state.kind !== 'ours') throw new StoreError('corrupt', `${path} is empty`)
  const connection = openConnection(path)
  try {
    const answer = connection.value('pragma quick_check(1)')
    if (answer !== 'ok') throw new StoreError('corrupt', `${path} is damaged; SQLite says: ${String(answer)}`)
    connection.run('update agents set path = ? || substr(path, ?) where substr(path, 1, ?) = ?', [
      `${to}/`,
      from.length + 2,
      from.length + 1,
      `${from}/`,
    ])
  } catch (error) {
    throw toStoreError(error, path)
  } finally {
    connection.close()
  }
}

/** Copies the store of a daemon that is stopped, without bringing it to another version. @throws StoreError `locked` */
export async function copyStoppedStore(path: string, target: string): Promise<void> {
  const lock = acquireStoreLock(path)
  try {
    const connection = openConnection(path, { isReadOnly: true })
    try {
      await backUp(connection, target)
    } finally {
      connection.close()
    }
  } catch (error) {
    throw toStoreError(error, path)
  } finally {
    lock.release()
  }
}
