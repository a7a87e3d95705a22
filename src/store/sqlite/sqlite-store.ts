import { stat } from 'node:fs/promises'
import type { Kysely } from 'kysely'
import type { SwarmEvent } from '../../domain/event.ts'
import type { Store } from '../contract.ts'
import { ConflictError, StoreError } from '../errors.ts'
import { createIdSource, type IdSource } from '../id-source.ts'
import { MIGRATIONS } from '../migrations/list.ts'
import type { Migration } from '../migrations/migration.ts'
import { bindReader } from '../reads/bind-reader.ts'
import type { Database } from '../schema.ts'
import { runInTransaction, type Transact, type Tx, writeEvents } from '../transaction.ts'
import { bindWriter } from '../writes/bind-writer.ts'
import { type Connection, openConnection } from './connection.ts'
import { backUp, migrate } from './migrate.ts'
import { createMutex } from './mutex.ts'
import { openFile } from './open-file.ts'
import { createQueries } from './queries.ts'
import { createRunRead } from './run-read.ts'
import { sqliteDialect } from './sqlite-dialect.ts'
import { toStoreError } from './to-store-error.ts'

export type SqliteStoreOptions = {
  /** The file, or `:memory:` */
  readonly path: string
  readonly clock: { now(): number }
  readonly randomBytes: (byteCount: number) => Uint8Array
  readonly logger?: StoreLogger
  /** Longest time that a list or a search may take, `ms` */
  readonly readDeadlineMs?: number
  /** The schema's history; another one is for tests of migrating itself */
  readonly migrations?: readonly Migration[]
}

export type StoreLogger = { error(fields: object, message: string): void }

const READ_DEADLINE_MS = 30_000

/**
 * Opens the store, and makes it when the file does not exist. Throws `StoreError` (`newer_version`, `corrupt`,
 * `foreign_file`, `read_only`, `disk_full`, `locked`, `unavailable`) and then has changed nothing. Who opens, closes.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const { path, clock, randomBytes, logger } = options
  const migrations = options.migrations ?? MIGRATIONS
  const file = await openFile(path, migrations)
  const { writer } = file
  const turns = createMutex()
  const newId = createIdSource(randomBytes)
  const queries = createQueries(async (sql, parameters) => writer.run(sql, parameters))
  try {
    await migrate(writer, queries, { path: file.path, migrations })
  } catch (error) {
    file.close()
    throw toStoreError(error, path)
  }

  const listeners = new Set<(events: readonly SwarmEvent[]) => void>()
  let isClosed = false

  const transact: Transact = (work) =>
    turns.run(async () => {
      if (isClosed) throw new StoreError('unavailable', `the store ${path} is closed`)
      try {
        const { value, events } = await commit(writer, queries, { now: clock.now(), newId }, work)
        turns.outside(() => publish(listeners, events, logger))
        return value
      } catch (error) {
        throw toStoreError(error, path)
      }
    })

  const reads = createRunRead({
    path: file.path,
    writer,
    turns,
    clock,
    deadlineMs: options.readDeadlineMs ?? READ_DEADLINE_MS,
  })

  return {
    read: bindReader(reads.run),
    write: bindWriter(transact),
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    capabilities: { isExclusive: true },
    now: () => clock.now(),
    async backup(target) {
      await assertAbsent(target)
      try {
        // A connection of its own: it copies what is committed, while the writer goes on.
        await (path === ':memory:' ? turns.run(() => backUp(writer, target)) : backUpFile(file.path, target))
      } catch (error) {
        throw toStoreError(error, target)
      }
    },
    async close() {
      if (isClosed) return
      await turns.run(async () => {
        isClosed = true
      })
      await reads.close()
      file.close()
    },
  }
}

async function commit<T>(
  writer: Connection,
  queries: Kysely<Database>,
  of: { now: number; newId: IdSource },
  work: (tx: Tx) => Promise<T>,
): Promise<{ value: T; events: readonly SwarmEvent[] }> {
  writer.exec('begin immediate')
  try {
    const begun = {
      db: queries,
      dialect: sqliteDialect,
      ...of,
      savepoint: <P>(part: () => Promise<P>) => savepoint(writer, part),
    }
    const { value, events } = await runInTransaction(begun, work)
    const written = await writeEvents(begun, events)
    writer.exec('commit')
    return { value, events: written }
  } catch (error) {
    // SQLite has rolled back by itself after some errors, a full disk among them.
    if (writer.database.isTransaction) writer.exec('rollback')
    throw error
  }
}

async function savepoint<T>(writer: Connection, part: () => Promise<T>): Promise<T> {
  writer.exec('savepoint part')
  try {
    const value = await part()
    writer.exec('release part')
    return value
  } catch (error) {
    if (writer.database.isTransaction) writer.exec('rollback to part; release part')
    throw error
  }
}

function publish(
  listeners: ReadonlySet<(events: readonly SwarmEvent[]) => void>,
  events: readonly SwarmEvent[],
  logger: StoreLogger | undefined,
): void {
  if (events.length === 0) return
  for (const listener of listeners) {
    try {
      listener(events)
    } catch (error) {
      // The change is committed; a listener's mistake must not look like a failed write.
      logger?.error({ err: error, seq: events[0]?.seq }, 'a listener of the store threw')
    }
  }
}

async function backUpFile(path: string, target: string): Promise<void> {
  const connection = openConnection(path, { isReadOnly: true })
  try {
    await backUp(connection, target)
  } finally {
    connection.close()
  }
}

async function assertAbsent(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (found !== undefined) throw new ConflictError(`${path} exists: a backup goes to a new path`)
}
