import { rename, rm } from 'node:fs/promises'
import { backup } from 'node:sqlite'
import type { Kysely } from 'kysely'
import type { Migration } from '../migrations/migration.ts'
import { ensureStatusTransitions } from '../migrations/status-transitions.ts'
import type { Database } from '../schema.ts'
import type { Connection } from './connection.ts'
import { assertNotNewer } from './inspect-file.ts'
import { sqliteDialect } from './sqlite-dialect.ts'

/** Pages copied at once; all of them, so that the copy is of one moment. */
const ALL_PAGES = 0x7fff_ffff

/**
 * Brings the file to the newest version, one transaction per step. Before each step of a file that held a
 * version already, the file is copied to `<path>.backup-v<version>`. A crash leaves the version of the last
 * whole step.
 */
export async function migrate(
  connection: Connection,
  queries: Kysely<Database>,
  options: { path: string; migrations: readonly Migration[] },
): Promise<void> {
  const { path, migrations } = options
  const version = readVersion(connection)
  assertNotNewer(path, version, migrations.length)
  for (const migration of migrations.slice(version)) {
    const before = migration.number - 1
    if (version > 0 && path !== ':memory:') await backUp(connection, `${path}.backup-v${before}`)
    await inTransaction(connection, async () => {
      await migration.up(queries as unknown as Kysely<never>, sqliteDialect)
      connection.exec(`pragma user_version = ${migration.number}`)
    })
  }
  await inTransaction(connection, async () => await ensureStatusTransitions(queries))
}

export function readVersion(connection: Connection): number {
  return Number(connection.value('pragma user_version'))
}

/** Copies to `path`, whole or not at all; what was there is replaced. */
export async function backUp(connection: Connection, path: string): Promise<void> {
  const partial = `${path}.partial`
  await rm(partial, { force: true })
  try {
    await backup(connection.database, partial, { rate: ALL_PAGES })
    await rename(partial, path)
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  }
}

async function inTransaction(connection: Connection, work: () => Promise<void>): Promise<void> {
  connection.exec('begin immediate')
  try {
    await work()
    connection.exec('commit')
  } catch (error) {
    if (connection.database.isTransaction) connection.exec('rollback')
    throw error
  }
}
