/** The store that is configured, by its kind. */
import { randomBytes } from 'node:crypto'
import type { Config } from './config/config.ts'
import type { Secrets } from './config/secrets.ts'
import { type Clock, systemClock } from './platform/clock.ts'
import type { Logger } from './platform/log.ts'
import type { Store } from './store/contract.ts'
import { StoreError } from './store/errors.ts'
import { openPostgresStore } from './store/postgres/postgres-store.ts'
import { type PostgresProbe, probePostgresStore } from './store/postgres/probe.ts'
import { openSqliteStore } from './store/sqlite/sqlite-store.ts'

/** Who opens, closes. @throws StoreError and then has changed nothing */
export async function openStore(
  { store }: Pick<Config, 'store'>,
  of: { readonly secrets: Secrets; readonly logger?: Logger; readonly clock?: Clock },
): Promise<Store> {
  const common = {
    randomBytes: (count: number) => randomBytes(count),
    ...(of.logger === undefined ? {} : { logger: of.logger }),
  }
  switch (store.kind) {
    case 'sqlite':
      return await openSqliteStore({ ...common, path: store.path, clock: of.clock ?? systemClock })
    case 'postgres':
      return await openPostgresStore({
        ...common,
        location: store.location,
        ...toPassword(store, of.secrets),
      })
    default:
      return store satisfies never
  }
}

/** Looks at a store in PostgreSQL without opening it; changes nothing. @throws StoreError */
export async function probeStore(
  store: Extract<Config['store'], { kind: 'postgres' }>,
  secrets: Secrets,
): Promise<PostgresProbe> {
  return await probePostgresStore(store.location, toPassword(store, secrets).password)
}

/** @throws StoreError when one is configured and cannot be had: without it another one would be tried */
function toPassword(
  { password }: Extract<Config['store'], { kind: 'postgres' }>,
  secrets: Secrets,
): { readonly password?: string } {
  const found = secrets.findStorePassword()
  if (found !== undefined) return { password: found.reveal() }
  if (password === null) return {}
  const missing = secrets.missing.find(({ setting }) => setting === 'store-password')
  throw new StoreError(
    'unavailable',
    `cannot open the store: store-password: ${missing?.problem ?? 'is missing'}`,
  )
}
