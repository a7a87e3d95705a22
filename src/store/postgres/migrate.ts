import type { Kysely } from 'kysely'
import { StoreError } from '../errors.ts'
import type { Migration } from '../migrations/migration.ts'
import { ensureStatusTransitions } from '../migrations/status-transitions.ts'
import { createFunctions, FUNCTIONS_VERSION, LOCK_CLASS, MIGRATION_LOCK } from './functions.ts'
import { postgresDialect } from './postgres-dialect.ts'
import type { Session } from './session.ts'

const SERVER_VERSION_MIN = 15

/**
 * Makes the schema `swarm` or brings it to the newest version, one transaction per step, while every other process
 * that opens the store waits. Touches nothing outside the schema, and nothing at all when it refuses.
 * @throws StoreError `newer_version`, `foreign_file`, `read_only`, `unavailable`
 */
export async function migrate(
  session: Session,
  { label, migrations }: { readonly label: string; readonly migrations: readonly Migration[] },
): Promise<void> {
  await assertServer(session, label)
  // Waits for the process that migrates now, as long as a statement may take.
  await session.exec(`set lock_timeout = 0; select pg_advisory_lock(${LOCK_CLASS}, ${MIGRATION_LOCK})`)
  try {
    const found = await inspect(session, label)
    if (found.version > migrations.length) throw toNewerVersionError(label, found.version, migrations.length)
    if (found.kind === 'new') await inTransaction(session, () => createSchema(session))
    for (const migration of migrations.slice(found.version)) {
      await inTransaction(session, async () => {
        await migration.up(session.db as unknown as Kysely<never>, postgresDialect)
        await session.query('update store_info set version = $1', [migration.number])
      })
    }
    if (found.functionsVersion < FUNCTIONS_VERSION) {
      await inTransaction(session, async () => {
        await createFunctions(session)
        await session.query('update store_info set functions_version = $1', [FUNCTIONS_VERSION])
      })
    }
    await inTransaction(session, () => ensureStatusTransitions(session.db))
  } finally {
    // With a broken connection the lock is gone anyway.
    if (session.isOpen) await session.exec(`select pg_advisory_unlock(${LOCK_CLASS}, ${MIGRATION_LOCK})`)
  }
}

/** @returns the main number of the server's version */
export async function assertServer(session: Session, label: string): Promise<number> {
  const [server] = await session.query<{ version: number; encoding: string; isStandby: boolean }>(
    `select current_setting('server_version_num')::int / 10000 as version,
            current_setting('server_encoding') as encoding, pg_is_in_recovery() as "isStandby"`,
  )
  if (server === undefined) throw new StoreError('unavailable', `${label} does not say what it is`)
  if (server.version < SERVER_VERSION_MIN) {
    const why = `is PostgreSQL ${server.version}; the store needs ${SERVER_VERSION_MIN} or newer`
    throw new StoreError('unavailable', `${label} ${why}`)
  }
  if (server.encoding !== 'UTF8') {
    const fix = 'make a database with createdb --encoding=UTF8 --template=template0'
    throw new StoreError('unavailable', `${label} has the encoding ${server.encoding}, not UTF8: ${fix}`)
  }
  if (server.isStandby) {
    throw new StoreError('read_only', `${label} is a standby: give the address of the primary`)
  }
  return server.version
}

type Found = { readonly kind: 'new' | 'ours'; readonly version: number; readonly functionsVersion: number }

export async function inspect(session: Session, label: string): Promise<Found> {
  const relations = await session.query<{ name: string }>(
    `select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'swarm' order by c.relname`,
  )
  if (relations.length === 0) return { kind: 'new', version: 0, functionsVersion: 0 }
  const isOurs = relations.some(({ name }) => name === 'store_info')
  const [info] = isOurs
    ? await session.query<{ version: number; functionsVersion: number }>(
        'select version, functions_version as "functionsVersion" from swarm.store_info',
      )
    : []
  if (info !== undefined) return { kind: 'ours', ...info }
  throw new StoreError(
    'foreign_file',
    `${label} has a schema "swarm" that is not Swarm's; it was not touched: give the store a database of its own`,
  )
}

async function createSchema(session: Session): Promise<void> {
  await session.exec(
    `create schema if not exists swarm;
     create table swarm.store_info (
       id integer primary key check (id = 1), version integer not null, functions_version integer not null
     );
     insert into swarm.store_info values (1, 0, 0)`,
  )
}

export function toNewerVersionError(label: string, version: number, known: number): StoreError {
  return new StoreError(
    'newer_version',
    `${label} has version ${version}, this program knows up to ${known}: install the newer program; nothing was changed`,
  )
}

async function inTransaction(session: Session, work: () => Promise<void>): Promise<void> {
  await session.exec('begin')
  try {
    await work()
    await session.exec('commit')
  } catch (error) {
    if (session.isOpen) await session.exec('rollback')
    throw error
  }
}
