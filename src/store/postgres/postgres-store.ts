import type { Store } from '../contract.ts'
import { StoreError } from '../errors.ts'
import { createIdSource } from '../id-source.ts'
import { MIGRATIONS } from '../migrations/list.ts'
import type { Migration } from '../migrations/migration.ts'
import type { PostgresLocation } from '../postgres-location.ts'
import { bindReader } from '../reads/bind-reader.ts'
import { bindWriter } from '../writes/bind-writer.ts'
import { openEventTail } from './event-tail.ts'
import { migrate } from './migrate.ts'
import { createPool } from './pool.ts'
import { createRunRead } from './run-read.ts'
import { openSession, type Session } from './session.ts'
import { createStoreClock } from './store-clock.ts'
import { type Target, toTarget } from './target.ts'
import { toStoreError } from './to-store-error.ts'
import { createTransact } from './transact.ts'

export type PostgresStoreOptions = {
  readonly location: PostgresLocation
  /** Left out: `PGPASSWORD` or the password file */
  readonly password?: string
  readonly randomBytes: (byteCount: number) => Uint8Array
  readonly logger?: { error(fields: object, message: string): void }
  /** Longest time that a list or a search may take, `ms` */
  readonly readDeadlineMs?: number
  /** The schema's history; another one is for tests of migrating itself */
  readonly migrations?: readonly Migration[]
}

const STATEMENT_TIMEOUT_MS = 15_000
const READ_DEADLINE_MS = 30_000
const MIGRATION_TIMEOUT_MS = 10 * 60_000
/** Connections of one coordinator: with the one that listens, fourteen */
const COUNT_MAX = { write: 8, quick: 3, heavy: 2 }

/**
 * Opens the store in the schema `swarm` of the database, and makes that when it is not there. Several processes may.
 * Throws `StoreError` (`newer_version`, `foreign_file`, `read_only`, `unavailable`) and then has changed nothing. Who
 * opens, closes.
 */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<Store> {
  const { location, logger } = options
  const target = await toTarget(location, options.password)
  const { label } = target
  try {
    const databaseNow = await prepare(target, options.migrations ?? MIGRATIONS)
    return await build(options, target, databaseNow)
  } catch (error) {
    throw toStoreError(error, label)
  }

  async function build(
    { randomBytes }: PostgresStoreOptions,
    to: Target,
    databaseNow: number,
  ): Promise<Store> {
    const clock = createStoreClock(databaseNow)
    const openFor = (statementTimeoutMs: number) => () => openSession({ target: to, statementTimeoutMs })
    const quickly = openFor(STATEMENT_TIMEOUT_MS)
    const pools = {
      write: createPool({ open: quickly, countMax: COUNT_MAX.write, label }),
      quick: createPool({ open: quickly, countMax: COUNT_MAX.quick, label }),
      heavy: createPool({
        open: openFor(options.readDeadlineMs ?? READ_DEADLINE_MS),
        countMax: COUNT_MAX.heavy,
        label,
      }),
    }
    const tail = await openEventTail({ open: quickly, logger })
    const transact = createTransact({
      pool: pools.write,
      clock,
      newId: createIdSource(randomBytes),
      label,
      lastSeq: () => tail.position,
      onCommit: (lastSeq) => tail.hasCommitted(lastSeq),
    })
    let closing: Promise<unknown> | undefined
    return {
      read: bindReader(createRunRead({ pools, clock, label })),
      write: bindWriter(async (work) => {
        try {
          return await transact(work)
        } catch (error) {
          throw toStoreError(error, label)
        }
      }),
      subscribe: (listener) => tail.subscribe(listener),
      capabilities: { isExclusive: false },
      now: () => clock.now(),
      async backup() {
        throw new StoreError(
          'conflict',
          `${label} is backed up with pg_dump, or copied with swarm store copy`,
        )
      },
      async close() {
        closing ??= Promise.all(Object.values(pools).map((pool) => pool.close())).then(() => tail.close())
        await closing
      },
    }
  }
}

/** Migrates. @returns the database's instant, `ms` since the epoch */
async function prepare(target: Target, migrations: readonly Migration[]): Promise<number> {
  const session: Session = await openSession({ target, statementTimeoutMs: MIGRATION_TIMEOUT_MS })
  try {
    await migrate(session, { label: target.label, migrations })
    const [row] = await session.query<{ now: number }>('select now_ms() as now')
    return row?.now ?? Date.now()
  } finally {
    await session.close()
  }
}
