/** Opens the file of another program for one call. In the thread only: everything here blocks. */
import { accessSync, type BigIntStats, constants, realpathSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { TrackerError } from '../contract.ts'
import { openDatabase, type Statements, toStatements } from './statements.ts'
import { isBusy } from './to-tracker-error.ts'

/** "Swrm" in a file's header: it is a store of ours. */
const OWN_APPLICATION_ID = 0x5377_726d

/** Which file stands under the path, so that another one is noticed. */
type Identity = string

export type OpenFile = Statements & {
  readonly path: string
  /** Work on one state of the file, which nobody changes meanwhile. */
  reading<T>(work: () => T): T
  /**
   * Work while nobody else writes; undone when it throws.
   * @throws FileReplacedError when another file stands under the path by now
   */
  writing<T>(work: () => T): T
}

export type FileUse = {
  readonly path: string
  /**
   * `look`: leaves no trace. `read`: also does what any reader may do, such as rolling an interrupted write of its
   * owner back. `write`: with foreign keys enforced.
   */
  readonly access: 'look' | 'read' | 'write'
  readonly patience: Patience
}

/** How long a lock is waited for. */
export type Patience = {
  readonly busyTimeoutMs: number
  /** 1 and a notification: nobody waits for the answer any more */
  readonly abandoned: Int32Array<SharedArrayBuffer>
}

class FileReplacedError extends Error {}

const TRY_COUNT_MAX = 5

/**
 * Opens, works, closes. Nothing is held between two calls: a connection kept open would keep the owner's journal
 * alive after it, and would go on with a file that was replaced.
 */
export function withFile<T>(use: FileUse, work: (file: OpenFile) => T): T {
  for (let tryCount = 1; ; tryCount++) {
    try {
      return openAndWork(use, work)
    } catch (error) {
      if (!(error instanceof FileReplacedError)) throw error
      if (tryCount < TRY_COUNT_MAX) continue
      throw new TrackerError('tracker_unavailable', `${use.path} is being replaced again and again`)
    }
  }
}

function openAndWork<T>(use: FileUse, work: (file: OpenFile) => T): T {
  const identity = identify(use.path)
  const database = connect(use)
  try {
    patiently(use.patience, () => assertNotOurs(database, use.path))
    assertSame(use.path, identity)
    return work(toOpenFile(database, use, identity))
  } catch (error) {
    // Whatever it was, it was another file's: SQLite notices a moved one, too, in words of its own.
    assertSame(use.path, identity)
    throw error
  } finally {
    database.close()
  }
}

/** Never by opening the file itself: closing it would drop the locks of every connection in this process. */
function identify(path: string): Identity {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false })
  if (found === undefined) {
    throw new TrackerError('tracker_unavailable', `${path} does not exist`, {
      fix: 'start the program that owns it, or correct the path',
    })
  }
  if (!found.isFile()) throw new TrackerError('tracker_misfit', `${path} is not a file`)
  if (found.size === 0n) {
    throw new TrackerError('tracker_unavailable', `${path} is empty: no tables were made there yet`, {
      fix: 'start the program that owns it, or correct the path',
    })
  }
  return `${found.dev}:${found.ino}`
}

function assertSame(path: string, identity: Identity): void {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false })
  if (found === undefined || `${found.dev}:${found.ino}` !== identity) {
    throw new FileReplacedError(`${path} was replaced`)
  }
}

function connect({ path, access }: FileUse): DatabaseSync {
  const isReadOnly = access === 'look' && hasJournal(path)
  const url = pathToFileURL(path)
  // Never makes a file.
  url.search = isReadOnly ? '?mode=ro' : '?mode=rw'
  const database = openDatabase(url, { isReadOnly })
  if (access !== 'write') database.exec('pragma query_only = on')
  return database
}

/**
 * Read-only, SQLite leaves a write-ahead log as it is, but makes one that is not there and does not remove it;
 * able to write, it removes what it made, but also takes over what an interrupted program left.
 */
function hasJournal(path: string): boolean {
  const real = realpathSync(path)
  return ['-wal', '-journal'].some(
    (suffix) => statSync(real + suffix, { throwIfNoEntry: false }) !== undefined,
  )
}

function toOpenFile(database: DatabaseSync, { path, patience }: FileUse, identity: Identity): OpenFile {
  function within<T>(begin: string, work: () => T, end: () => void): T {
    patiently(patience, () => database.exec(begin))
    try {
      const result = work()
      end()
      return result
    } finally {
      // Some failures have ended it already.
      if (database.isTransaction) database.exec('rollback')
    }
  }

  return {
    path,
    ...toStatements(database),
    reading: (work) =>
      within(
        'begin',
        () => {
          patiently(patience, () => database.prepare('select count(*) from sqlite_schema').get())
          return work()
        },
        () => database.exec('commit'),
      ),
    writing: (work) =>
      within('begin immediate', work, () => {
        assertSame(path, identity)
        assertAwaited(patience)
        patiently(patience, () => database.exec('commit'))
      }),
  }
}

/** Tries again while somebody else holds the lock. */
function patiently<T>(patience: Patience, work: () => T): T {
  const until = performance.now() + patience.busyTimeoutMs
  for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, 25)) {
    assertAwaited(patience)
    try {
      return work()
    } catch (error) {
      if (!isBusy(error) || performance.now() >= until) throw error
    }
    // Ends early when the call is abandoned.
    Atomics.wait(patience.abandoned, 0, 0, waitMs)
  }
}

function assertAwaited({ abandoned }: Patience): void {
  if (Atomics.load(abandoned, 0) !== 0) {
    throw new TrackerError('tracker_unavailable', 'the call was given up')
  }
}

function assertNotOurs(database: DatabaseSync, path: string): void {
  const [id] = Object.values(database.prepare('pragma application_id').get() ?? {})
  if (id !== OWN_APPLICATION_ID) return
  throw new TrackerError(
    'tracker_misfit',
    `${path} is a store of Swarm, not a tickets database of another program`,
    { fix: 'give the path of the other program’s database' },
  )
}

/** A file that is not there is for those to say who open it. */
export function assertWritable(path: string): void {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return
  const real = realpathSync(path)
  for (const place of [real, dirname(real)]) {
    try {
      accessSync(place, constants.W_OK)
    } catch (error) {
      throw new TrackerError('tracker_unavailable', `${place} cannot be written: tickets cannot be taken`, {
        fix: 'let this user write the file and its folder',
        cause: error,
      })
    }
  }
}

/**
 * What tells that nothing was written since, without opening the file: `null` while it cannot tell, because the
 * last write is so young that another one could carry the same time.
 */
export function readRevision(path: string, now: number): string | null {
  const main = statSync(path, { bigint: true, throwIfNoEntry: false })
  if (main === undefined) return null
  const log = statSync(`${realpathSync(path)}-wal`, { bigint: true, throwIfNoEntry: false })
  const settledMs = BigInt(now - SETTLED_MS)
  const files = log === undefined ? [main] : [main, log]
  if (main.ctimeMs > settledMs || files.some(({ mtimeMs }) => mtimeMs > settledMs)) return null
  // Opened by root, SQLite gives the log to the file's owner again: that changes its `ctime`, and nothing else.
  return [main.ctimeNs, ...files.map(toState)].join('/')
}

function toState({ dev, ino, size, mtimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs].join(':')
}

/** Longer than the step of any file system's clock */
const SETTLED_MS = 2_500
