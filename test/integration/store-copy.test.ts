/** Moving a store: SQLite to PostgreSQL and back, every row, or nothing at all. */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { copyStore } from '../../src/main.ts'
import { createPostgresRows } from '../../src/store/postgres/postgres-rows.ts'
import { openPostgresStore } from '../../src/store/postgres/postgres-store.ts'
import { openSqliteRows } from '../../src/store/sqlite/sqlite-rows.ts'
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.ts'
import { copyRows } from '../../src/store/store-rows.ts'
import { runSwarm } from '../support/daemon-process.ts'
import { createSeededBytes } from '../support/seeded-bytes.ts'
import {
  beginAttempt,
  beginScene,
  createTestTicket,
  openApproval,
  registerTestWorkflow,
} from '../support/store.ts'
import { createDatabase, type PostgresDatabase } from '../support/store-postgres.ts'
import { describeWithPostgres } from '../support/with-postgres.ts'

const SIGNAL = AbortSignal.timeout(300_000)
const HOSTILE = "\u0000'; drop table tickets; --\u{10fffe}\n🙂"

describeWithPostgres('a store is copied', () => {
  let folder: string
  let path: string
  let database: PostgresDatabase

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'swarm-copy-'))
    path = join(folder, 'swarm.db')
    database = await createDatabase('empty')
    await fill()
  })
  afterEach(async () => {
    await database.drop()
    await rm(folder, { recursive: true, force: true })
  })

  const clock = { now: () => 1_800_000_000_000 }
  const openFile = () => openSqliteStore({ path, clock, randomBytes: createSeededBytes(1) })
  const file = () => ({ kind: 'sqlite', path }) as const
  const there = () => ({ kind: 'postgres', location: database.location }) as const

  /** Tickets in every state, a run in the midst of its work, and numbers that were given and are gone. */
  async function fill(): Promise<void> {
    const store = await openFile()
    const { project, proof } = await beginScene(store, { title: HOSTILE, labels: [HOSTILE, 'a'] })
    await beginAttempt(store, proof)
    await openApproval(store, proof)
    const done = await createTestTicket(store, project)
    const waiting = await createTestTicket(store, project, { dependsOn: [done.id], inputs: { [HOSTILE]: 1 } })
    await store.write.cancelTicket({ ticketId: done.id, actor: 'ann', detail: 'no more' })
    await store.write.addComment({ ticketId: waiting.id, author: 'ann', body: 'x'.repeat(100_000) })
    await registerTestWorkflow(store, 'other')
    for (let index = 0; index < 1_200; index++) {
      await store.write.recordEvents([{ type: 'agent.milestone', actor: 'agent:x', data: { index } }])
    }
    await store.close()
    const db = new DatabaseSync(path)
    db.exec('delete from events where seq > (select max(seq) - 5 from events)')
    db.close()
  }

  function dumpFile(of: string): string {
    const db = new DatabaseSync(of, { readOnly: true })
    const tables = db.prepare("select name from sqlite_master where type = 'table' order by name").all()
    const triggers = db
      .prepare("select name, sql from sqlite_master where type = 'trigger' order by name")
      .all()
    const rows = tables.map(({ name }) => [name, db.prepare(`select * from ${name} order by 1, 2`).all()])
    db.close()
    return JSON.stringify([rows, triggers])
  }

  test('to PostgreSQL and back: every row, every number, every rule of the tables', async () => {
    const copy = await copyStore(file(), there(), SIGNAL)
    expect(copy.rowCount).toBeGreaterThan(1_200)
    expect(copy.tables.find(({ name }) => name === 'tickets')).toEqual({ name: 'tickets', rowCount: 3 })
    const store = await openPostgresStore({ location: database.location, randomBytes })
    const [ticket] = (await store.read.listTickets({ labels: [HOSTILE] })).items
    expect(ticket).toMatchObject({ title: HOSTILE, status: 'running' })
    await store.close()
    const illegal = database.server.run(
      database.name,
      "update tickets set status = 'review', finished_at = null",
    )
    await expect(illegal).rejects.toThrow(/illegal transition/)
    const back = join(folder, 'back.db')
    await copyStore(there(), { kind: 'sqlite', path: back }, SIGNAL)
    expect(dumpFile(back)).toBe(dumpFile(path))
    expect((await stat(back)).mode & 0o077).toBe(0)
  })

  test('what is written afterwards goes on where the numbers stood', async () => {
    const db = new DatabaseSync(path, { readOnly: true })
    const last = Number(db.prepare("select seq from sqlite_sequence where name = 'events'").get()?.seq)
    db.close()
    await copyStore(file(), there(), SIGNAL)
    const store = await openPostgresStore({ location: database.location, randomBytes })
    await store.write.recordEvents([{ type: 'agent.milestone', actor: 'agent:x', data: {} }])
    const [event] = await store.read.listEvents({ afterSeq: last - 1 })
    expect(event?.seq).toBe(last + 1)
    const [project] = await store.read.listProjects()
    if (project === undefined) throw new Error('no project')
    expect((await createTestTicket(store, project)).number).toBe(4)
    await store.close()
  })

  test('while a coordinator has one of the two open it is refused', async () => {
    const inFile = await openFile()
    await expect(copyStore(file(), there(), SIGNAL)).rejects.toMatchObject({ code: 'locked' })
    await inFile.close()
    const store = await openPostgresStore({ location: database.location, randomBytes })
    await expect(copyStore(file(), there(), SIGNAL)).rejects.toMatchObject({ code: 'locked' })
    const elsewhere = { kind: 'sqlite', path: join(folder, 'x.db') } as const
    await expect(copyStore(there(), elsewhere, SIGNAL)).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringContaining('stop every coordinator'),
    })
    await store.close()
    expect(existsSync(elsewhere.path)).toBe(false)
  })

  test('a target with content is refused and left as it is', async () => {
    const store = await openPostgresStore({ location: database.location, randomBytes })
    await store.write.createProject({ key: 'OURS', name: 'x', actor: 'test' })
    await store.close()
    await expect(copyStore(file(), there(), SIGNAL)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('empty database'),
    })
    expect(await database.server.run(database.name, 'select key from projects')).toEqual([{ key: 'OURS' }])
    const before = dumpFile(path)
    await expect(copyStore(there(), file(), SIGNAL)).rejects.toMatchObject({ code: 'conflict' })
    expect(dumpFile(path)).toBe(before)
  })

  test('a row that arrives changed is noticed, and then nothing is there', async () => {
    const source = await openSqliteRows(path)
    const target = await createPostgresRows({ location: database.location })
    const lossy = {
      ...target,
      insert: (table: Parameters<typeof target.insert>[0], rows: Parameters<typeof target.insert>[1]) =>
        target.insert(
          table,
          rows.map((row) => row.map((value) => (value === 'no more' ? 'no mor' : value))),
        ),
    }
    await expect(copyRows(source, lossy, { signal: SIGNAL })).rejects.toMatchObject({
      message: expect.stringMatching(/row .* of (tickets|events)/),
    })
    await target[Symbol.asyncDispose]()
    await source[Symbol.asyncDispose]()
    const left = await database.server.run(
      database.name,
      "select 1 from pg_namespace where nspname = 'swarm'",
    )
    expect(left).toEqual([])
  })

  test('a copy that is broken off leaves no file and no lock', async () => {
    await copyStore(file(), there(), SIGNAL)
    const back = join(folder, 'back.db')
    const stop = AbortSignal.abort(new Error('enough'))
    await expect(copyStore(there(), { kind: 'sqlite', path: back }, stop)).rejects.toThrow('enough')
    expect(
      (await readdir(folder)).filter((name) => name.startsWith('back.db') && !name.endsWith('.lock')),
    ).toEqual([])
    await copyStore(there(), { kind: 'sqlite', path: back }, SIGNAL)
  })

  test('`swarm store copy` says what was copied, and what is wrong', async () => {
    const url = database.server.toUrl(database.name)
    const copied = await runSwarm(['store', 'copy', `sqlite:${path}`, url])
    expect(copied).toMatchObject({ code: 0 })
    const again = await runSwarm(['store', 'copy', `sqlite:${path}`, url])
    expect(again.code).not.toBe(0)
    expect(again.stderr).toContain('has content: a store is copied to an empty database')
    const odd = await runSwarm(['store', 'copy', 'mysql://x', 'postgres://a:hunter2@b/c'])
    expect(odd.stderr).toContain('the place of a store expects sqlite:FILE')
    const leaky = await runSwarm(['store', 'copy', `sqlite:${path}`, 'postgres://a:hunter2@b/c'])
    expect(leaky.stderr).toContain('holds a password')
    expect(leaky.stderr).not.toContain('hunter2')
  })
})
