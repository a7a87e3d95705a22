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

const returned: PostgresDatabase[] = []

/** A `manual` database that may have served another test: emptying one is much quicker than making one. */
export async function borrowDatabase(): Promise<PostgresDatabase> {
  const database = returned.pop() ?? (await createDatabase('manual'))
  return {
    ...database,
    async drop() {
      await database.server.run(database.name, EMPTY)
      returned.push(database)
    },
  }
}

/** Every table but those that a new store has filled, and every sequence; whoever is still connected is not any more. */
const EMPTY = `
  select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid();
  set session_replication_role = replica;
  do $$ declare name text; begin
    for name in select tablename from pg_tables
      where schemaname = 'swarm' and tablename not in ('store_info', 'status_transitions')
    loop execute format('delete from swarm.%I', name); end loop;
    for name in select sequencename from pg_sequences where schemaname = 'swarm'
    loop execute format('alter sequence swarm.%I restart', name); end loop;
  end $$`

/** The store, with the database's clock set to the test's before each use. */
export async function withManualClock(
  store: Store,
  database: PostgresDatabase,
  clock: ManualClock,
): Promise<Store> {
  const connection = await database.server.connect(database.name)
  let last: Promise<unknown> = Promise.resolve()
  let setAt: number | undefined
  const setClock = () => {
    if (setAt !== clock.now()) {
      setAt = clock.now()
      const statement = `update public.manual_clock set at = ${setAt}`
      last = last.then(() => connection.query(statement))
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
  return {
    ...store,
    read: timed(store.read),
    write: timed(store.write),
    now: () => clock.now(),
    async close() {
      // After the calls that were made before this one.
      await setClock()
      await store.close()
      await connection.end()
    },
  }
}
