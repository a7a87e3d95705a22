/** Opening a PostgreSQL store: made once, by whoever comes first; never where it does not belong. */
import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { afterEach, expect, test } from 'vitest'
import type { Store } from '../../src/store/contract.ts'
import { MIGRATIONS } from '../../src/store/migrations/list.ts'
import { openPostgresStore } from '../../src/store/postgres/postgres-store.ts'
import { getPostgresServer } from '../support/postgres-server.ts'
import { createTestProject, createTestTicket } from '../support/store.ts'
import { createDatabase, type PostgresDatabase, toLocation } from '../support/store-postgres.ts'
import { describeWithPostgres } from '../support/with-postgres.ts'

describeWithPostgres('opening a PostgreSQL store:', () => {
  const toClose: Store[] = []
  const databases: PostgresDatabase[] = []

  afterEach(async () => {
    await Promise.all(toClose.splice(0).map((store) => store.close()))
    for (const database of databases.splice(0)) await database.drop()
  })

  const make = async (kind: 'empty' | 'migrated') => {
    const database = await createDatabase(kind)
    databases.push(database)
    return database
  }
  const open = async ({ location }: PostgresDatabase, migrations = MIGRATIONS) => {
    const store = await openPostgresStore({ location, randomBytes, migrations })
    toClose.push(store)
    return store
  }
  const describeSchema = async ({ server, name }: PostgresDatabase) =>
    JSON.stringify(
      await server.run(
        name,
        `select n.nspname, c.relname, c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema' order by 1, 2`,
      ),
    )

  test('U2: several that start at once on an empty database make one store', async () => {
    const database = await make('empty')
    const stores = await Promise.all(Array.from({ length: 6 }, () => open(database)))
    const project = await createTestProject(stores[0] as Store)
    for (const store of stores) expect(await store.read.listProjects()).toEqual([project])
    const info = await database.server.run(database.name, 'select version from store_info')
    expect(info).toEqual([{ version: MIGRATIONS.length }])
  })

  test('tables of another program in the same database are never touched', async () => {
    const database = await make('empty')
    await database.server.run(
      database.name,
      "create table public.tickets (id int, title text); insert into public.tickets values (1, 'theirs')",
    )
    const store = await open(database)
    await createTestTicket(store, await createTestProject(store))
    const theirs = await database.server.run(database.name, 'select * from public.tickets')
    expect(theirs).toEqual([{ id: 1, title: 'theirs' }])
  })

  test("a schema called swarm that is not the store's is refused, and nothing is changed", async () => {
    const database = await make('empty')
    await database.server.run(database.name, 'create schema swarm; create table swarm.bees (id int)')
    const before = await describeSchema(database)
    await expect(open(database)).rejects.toMatchObject({
      code: 'foreign_file',
      message: expect.stringMatching(/schema "swarm" that is not Swarm's.*database of its own/),
    })
    expect(await describeSchema(database)).toBe(before)
  })

  test('a store of a newer program is refused, and nothing is changed', async () => {
    const database = await make('migrated')
    const newer = {
      number: MIGRATIONS.length + 1,
      name: 'newer',
      async up() {},
    }
    await (await open(database, [...MIGRATIONS, newer])).close()
    const before = await describeSchema(database)
    await expect(open(database)).rejects.toMatchObject({
      code: 'newer_version',
      message: expect.stringContaining('install the newer program'),
    })
    expect(await describeSchema(database)).toBe(before)
  })

  test('a migration that fails half-way leaves the version before it', async () => {
    const database = await make('migrated')
    const before = await describeSchema(database)
    const broken = {
      number: MIGRATIONS.length + 1,
      name: 'broken',
      async up(db: Parameters<(typeof MIGRATIONS)[number]['up']>[0]) {
        await db.schema.createTable('half_way').addColumn('id', 'integer').execute()
        throw new Error('half-way')
      },
    }
    await expect(open(database, [...MIGRATIONS, broken])).rejects.toThrow('half-way')
    expect(await describeSchema(database)).toBe(before)
    await createTestProject(await open(database))
  })

  test('what is no place for a store says why', async () => {
    const server = await getPostgresServer()
    const refused = (url: string) =>
      expect(openPostgresStore({ location: toLocation(url), randomBytes })).rejects
    await refused(server.toUrl('nowhere')).toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/nowhere.*createdb/),
    })
    await refused('postgresql:///x?host=/nonexistent&user=swarm').toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('cannot be reached'),
    })
    await server.run('postgres', "create database ascii template template0 encoding 'SQL_ASCII' locale 'C'")
    await refused(server.toUrl('ascii')).toMatchObject({ message: expect.stringContaining('not UTF8') })
  })

  test('an event is in the transaction of its change: when it cannot be written, nothing is', async () => {
    const database = await make('migrated')
    const store = await open(database)
    const project = await createTestProject(store)
    await createTestTicket(store, project)
    const [same] = await database.server.run(
      database.name,
      "select t.xmin = e.xmin as value from tickets t join events e on e.ticket_id = t.id and e.type = 'ticket.created'",
    )
    expect(same).toEqual({ value: true })
    await database.server.run(
      database.name,
      `create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no events'; end $$;
       create trigger refuse before insert on events for each row execute function refuse()`,
    )
    await expect(createTestTicket(store, project)).rejects.toThrow('no events')
    expect((await store.read.listTickets({})).items).toHaveLength(1)
    expect((await store.read.findProject({ projectId: project.id }))?.ticketCount).toBe(1)
  })

  test('a password is asked for and given, never told', async () => {
    const database = await make('empty')
    await database.server.run('postgres', "create role locked login password 'hunter2'")
    await database.server.run('postgres', `grant create on database ${database.name} to locked`)
    const location = { ...database.location, user: 'locked' }
    const refused = openPostgresStore({ location, randomBytes, password: 'hunter3' })
    await expect(refused).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/does not let this user in/),
    })
    const store = await openPostgresStore({ location, randomBytes, password: 'hunter2' })
    toClose.push(store)
    await createTestProject(store)
    expect(inspect(store, { depth: 9 })).not.toContain('hunter2')
    expect(inspect(await refused.catch((error: unknown) => error), { depth: 9 })).not.toContain('hunter3')
  })

  test("every instant is the database's, whatever the clock of this machine says", async () => {
    const database = await make('migrated')
    const aheadMs = 3_600_000
    await database.server.run(
      database.name,
      `create or replace function now_ms() returns bigint language sql volatile
         as $$ select (extract(epoch from clock_timestamp()) * 1000)::bigint + ${aheadMs} $$`,
    )
    const store = await open(database)
    const before = Date.now() + aheadMs
    const ticket = await createTestTicket(store, await createTestProject(store))
    const claimed = await store.write.claimNext({ holder: 'h', leaseTtlMs: 30_000 })
    const after = Date.now() + aheadMs
    for (const at of [ticket.createdAt, (claimed?.run.lease.expiresAt ?? 0) - 30_000, store.now()]) {
      expect(at).toBeGreaterThanOrEqual(before - 5)
      expect(at).toBeLessThanOrEqual(after + 5)
    }
  })

  test('text is compared byte by byte, whatever language the database was made for', async () => {
    const database = await make('migrated')
    const odd = await database.server.run(
      database.name,
      `select c.relname, a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid
       join pg_namespace n on n.oid = c.relnamespace join pg_collation o on o.oid = a.attcollation
       where n.nspname = 'swarm' and c.relkind = 'r' and o.collname <> 'C'`,
    )
    expect(odd.filter(({ relname }) => relname !== 'store_info')).toEqual([])
  })
})
