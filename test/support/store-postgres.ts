/** PostgreSQL stores for tests, each in a database of its own, by a clock that stands still until it is moved. */
import { randomBytes } from 'node:crypto'
import type { Store } from '../../src/store/contract.ts'
import { openPostgresStore } from '../../src/store/postgres/postgres-store.ts'
import { type PostgresLocation, parsePostgresLocation } from '../../src/store/postgres-location.ts'
import type { ManualClock } from './manual-clock.ts'
import { getPostgresServer, type PostgresServer } from './postgres-server.ts'

export type PostgresDatabase = {
  readonly server: PostgresServer
  readonly name: string
  readonly location: PostgresLocation
  drop(): Promise<void>
}

export function toLocation(url: string): PostgresLocation {
  const location = parsePostgresLocation(url)
  if (typeof location === 'string') throw new Error(`${url} ${location}`)
  return location
}

let databaseCount = 0
let templates: Promise<Readonly<Record<'empty' | 'migrated' | 'manual', string>>> | undefined

/**
 * A database of the test's own.
 * - `empty`: nothing is in it
 * - `migrated`: a store without content
 * - `manual`: a store whose time is in the table `public.manual_clock`
 */
export async function createDatabase(kind: 'empty' | 'migrated' | 'manual'): Promise<PostgresDatabase> {
  const server = await getPostgresServer()
  templates ??= makeTemplates(server)
  const template = (await templates)[kind]
  const name = `test_${++databaseCount}`
  await server.run('postgres', `create database ${name} template ${template}`)
  return {
    server,
    name,
    location: toLocation(server.toUrl(name)),
    drop: async () => void (await server.run('postgres', `drop database ${name} with (force)`)),
  }
}

async function makeTemplates(server: PostgresServer) {
  await server.run('postgres', 'create database migrated')
  const store = await openPostgresStore({ location: toLocation(server.toUrl('migrated')), randomBytes })
  await store.close()
  await server.run('postgres', 'create database manual template migrated')
  await server.run(
    'manual',
    `create table public.manual_clock (at bigint not null);
     insert into public.manual_clock values (0);
     create or replace function swarm.now_ms() returns bigint language sql volatile
       as $$ select at from public.manual_clock $$`,
  )
  return { empty: 'template0', migrated: 'migrated', manual: 'manual' }
}

/** The store, with the database's clock set to the test's before each use. */
export function withManualClock(store: Store, database: PostgresDatabase, clock: ManualClock): Store {
  let last: Promise<unknown> = Promise.resolve()
  let setAt: number | undefined
  const setClock = () => {
    if (setAt !== clock.now()) {
      setAt = clock.now()
      const statement = `update public.manual_clock set at = ${setAt}`
      last = last.then(() => database.server.run(database.name, statement))
    }
    return last
  }
  const timed = <T extends object>(methods: T): T =>
    Object.fromEntries(
      Object.entries(methods).map(([name, method]) => [
        name,
        async (...input: unknown[]) => {
          await setClock()
          return await method(...input)
        },
      ]),
    ) as T
  return { ...store, read: timed(store.read), write: timed(store.write), now: () => clock.now() }
}
