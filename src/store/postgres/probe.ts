import { MIGRATIONS } from '../migrations/list.ts'
import type { PostgresLocation } from '../postgres-location.ts'
import { assertServer, inspect, toNewerVersionError } from './migrate.ts'
import { openSession } from './session.ts'
import { toTarget } from './target.ts'
import { toStoreError } from './to-store-error.ts'

export type PostgresProbe = {
  /** Which database, never with a password */
  readonly label: string
  /** Main number of the server's version */
  readonly serverVersion: number
  /** Version of the store in it; `null` when none was made yet */
  readonly version: number | null
}

const TIMEOUT_MS = 10_000

/** Looks whether a store is or could be there; changes nothing. @throws StoreError as opening it would */
export async function probePostgresStore(
  location: PostgresLocation,
  password?: string,
): Promise<PostgresProbe> {
  const target = await toTarget(location, password)
  const { label } = target
  try {
    const session = await openSession({ target, statementTimeoutMs: TIMEOUT_MS })
    try {
      const serverVersion = await assertServer(session, label)
      const { kind, version } = await inspect(session, label)
      if (version > MIGRATIONS.length) throw toNewerVersionError(label, version, MIGRATIONS.length)
      return { label, serverVersion, version: kind === 'new' ? null : version }
    } finally {
      await session.close()
    }
  } catch (error) {
    throw toStoreError(error, label)
  }
}
