/** The file itself: journals, locks, replacement, crashes, and what is not a tickets database at all. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, copyFile, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Tracker } from '../../src/tracker/contract.ts'
import { createSqliteTableTracker } from '../../src/tracker/sqlite-table/create-sqlite-table-tracker.ts'
import {
  type ForeignDatabase,
  makeForeignDatabase,
  TICKETS_TABLE,
  toMapping,
} from '../support/foreign-database.ts'
import { STORES } from '../support/store.ts'
import { waitFor } from '../support/wait-for.ts'

const FOREIGN_PROCESS = fileURLToPath(new URL('../support/foreign-process.ts', import.meta.url))
const TRACKER_PROCESS = fileURLToPath(new URL('../support/tracker-process.ts', import.meta.url))
const TIMEOUT_MS = 30_000
const JOURNALS = ['delete', 'wal'] as const

async function make(...input: Parameters<typeof makeForeignDatabase>): Promise<ForeignDatabase> {
  const database = await makeForeignDatabase(...input)
  onTestFinished(async () => await database[Symbol.asyncDispose]())
  return database
}

const ONE_TICKET = `${TICKETS_TABLE}; insert into tickets (id, title) values ('a', 'T');`
const signal = () => AbortSignal.timeout(TIMEOUT_MS)
const fetch = (tracker: Tracker) => tracker.fetchByStates({ states: ['pending'] }, signal())
const take = (tracker: Tracker, externalId = 'a') =>
  tracker.take({ externalId, mark: 'swarm:1', lastWord: null }, signal())
const finish = (tracker: Tracker) =>
  tracker.writeBack(
    {
      externalId: 'a',
      mark: 'swarm:1',
      lastWord: 'in_progress',
      status: 'done',
      outputs: null,
      error: null,
      branch: null,
      pullRequest: null,
      at: 0,
    },
    signal(),
  )

/** Another program, ended with the test; resolves with its first line. */
async function startForeign(path: string, what: 'lock' | 'hold') {
  const child = spawn(process.execPath, [FOREIGN_PROCESS, path, what], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const end = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
  }
  onTestFinished(end)
  await once(createInterface(child.stdout), 'line')
  return { end }
}

async function crashForeign(path: string): Promise<void> {
  const child = spawn(process.execPath, [FOREIGN_PROCESS, path, 'crash'], { stdio: 'inherit' })
  await once(child, 'exit')
}

describe.each(JOURNALS)('with journal_mode = %s', (journal) => {
  test('the schema, the journal and the files beside it stay what they were', async () => {
    const database = await make(ONE_TICKET, { journal })
    const about = () =>
      ['journal_mode', 'application_id', 'user_version', 'schema_version', 'page_size', 'auto_vacuum'].map(
        (name) => database.rows(`pragma ${name}`),
      )
    const before = [about(), database.rows('select * from sqlite_schema'), await readdir(database.folder)]
    const tracker = database.track()
    await fetch(tracker)
    await tracker.check(signal())
    expect(await readdir(database.folder)).toHaveLength(1)
    await take(tracker)
    await finish(tracker)
    await tracker.close()
    expect([about(), database.rows('select * from sqlite_schema'), await readdir(database.folder)]).toEqual(
      before,
    )
    expect(database.rows('pragma integrity_check')).toEqual([{ integrity_check: 'ok' }])
  })

  test('a check leaves no trace, while the owner has it open, too', async () => {
    const database = await make(ONE_TICKET, { journal })
    const untouched = await database.fingerprint()
    const first = database.track()
    expect(await first.check(signal())).toMatchObject({ isUsable: true, mirroredCount: 1 })
    await first.close()
    expect(await database.fingerprint()).toEqual(untouched)

    const owner = await startForeign(database.path, 'hold')
    database.owner((connection) => connection.exec(`insert into tickets (id, title) values ('b', 'T')`))
    const names = await readdir(database.folder)
    const open = await database.fingerprint()
    const second = database.track()
    expect(await second.check(signal())).toMatchObject({ mirroredCount: 2 })
    await second.close()
    // The owner's own index of its log (-shm) holds the marks of its readers.
    const after = await database.fingerprint()
    const withoutIndex = (prints: object) => Object.entries(prints).filter(([name]) => !name.endsWith('-shm'))
    expect(withoutIndex(after)).toEqual(withoutIndex(open))
    expect(await readdir(database.folder)).toEqual(names)
    await owner.end()
  })

  test('P10: nothing is read again when nothing was written since, while the owner has it open, too', async () => {
    const database = await make(ONE_TICKET, { journal })
    await startForeign(database.path, 'hold')
    const tracker = database.track()
    const look = async (revision: string) =>
      await tracker.fetchByStates({ states: ['pending'], unlessRevision: revision }, signal())
    const first = await waitFor('a revision', async () => {
      const page = await look('')
      return page.kind === 'page' && page.revision !== null ? page.revision : undefined
    })
    expect(await look(first)).toEqual({ kind: 'unchanged' })
    await fetch(tracker)
    expect(await look(first)).toEqual({ kind: 'unchanged' })
    database.owner((owner) => owner.exec(`update tickets set title = 'Other'`))
    expect(await look(first)).toMatchObject({ kind: 'page', tickets: [{ title: 'Other' }] })
  })

  test('what a program left that died while it wrote is left alone by a check, and rolled back by a fetch', async () => {
    const database = await make(
      `${ONE_TICKET} with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000)
        insert into tickets (id, title, description) select 'x' || i, 'whole', printf('%.*c', 200, 'b') from n`,
      { journal },
    )
    await crashForeign(database.path)
    expect((await readdir(database.folder)).length).toBeGreaterThan(1)
    const left = await database.fingerprint()
    const first = database.track()
    const check = await first.check(signal()).catch((error: unknown) => error)
    await first.close()
    if (journal === 'delete') {
      expect(check).toMatchObject({
        code: 'tracker_unavailable',
        message: expect.stringContaining('interrupted'),
      })
      expect(await database.fingerprint()).toEqual(left)
    } else {
      expect(check).toMatchObject({ isUsable: true, mirroredCount: 3_001 })
      expect((await database.fingerprint())['their tickets?#.db']).toEqual(left['their tickets?#.db'])
    }
    const page = await fetch(database.track())
    expect(page).toMatchObject({ kind: 'page', tickets: { length: 500 } })
    expect(page.kind === 'page' && page.tickets.some(({ title }) => title === 'half written')).toBe(false)
  })

  test('U17: while another program holds the file locked, timers go on, and the call ends with a sentence', async () => {
    const database = await make(ONE_TICKET, { journal })
    const owner = await startForeign(database.path, 'lock')
    const tracker = database.track({}, { busyTimeoutMs: 700 })
    let tickCount = 0
    const ticks = setInterval(() => void tickCount++, 20)
    onTestFinished(() => clearInterval(ticks))
    await expect(fetch(tracker)).rejects.toMatchObject({
      code: 'tracker_unavailable',
      message: expect.stringContaining('is locked by another program'),
    })
    const whileFetching = tickCount
    await expect(take(tracker)).rejects.toMatchObject({ code: 'tracker_unavailable' })
    // Of about seventy: the thread waited, not this one.
    expect(whileFetching).toBeGreaterThan(5)
    expect(tickCount - whileFetching).toBeGreaterThan(5)
    await owner.end()
    expect(await take(tracker)).toEqual({ kind: 'taken', word: 'in_progress' })
  })

  test('a take that waits for a lock is given up with its signal, and never happens afterwards', async () => {
    const database = await make(ONE_TICKET, { journal })
    const owner = await startForeign(database.path, 'lock')
    const tracker = database.track()
    const reason = new Error('enough')
    const abort = new AbortController()
    const waiting = tracker.take({ externalId: 'a', mark: 'swarm:1', lastWord: null }, abort.signal)
    const behind = tracker.fetchByIds(['a'], abort.signal)
    setTimeout(() => abort.abort(reason), 300)
    await expect(waiting).rejects.toBe(reason)
    await expect(behind).rejects.toBe(reason)
    await owner.end()
    expect((await tracker.fetchByIds(['a'], signal())).tickets).toMatchObject([{ word: 'pending' }])
  })

  test('a file that was replaced under us is the one that is read and written', async () => {
    const database = await make(ONE_TICKET, { journal })
    const other = await make(ONE_TICKET.replace("'a', 'T'", "'a', 'another file'"), { journal })
    const tracker = database.track()
    expect(await fetch(tracker)).toMatchObject({ tickets: [{ title: 'T' }] })
    const old = join(database.folder, 'old.db')
    await copyFile(other.path, join(database.folder, 'next.db'))
    await rename(database.path, old)
    await rename(join(database.folder, 'next.db'), database.path)
    expect(await take(tracker)).toEqual({ kind: 'taken', word: 'in_progress' })
    expect(database.rows('select title, status from tickets')).toEqual([
      { title: 'another file', status: 'in_progress' },
    ])
    await rename(old, database.path)
    expect(await fetch(tracker)).toMatchObject({ tickets: [{ title: 'T', word: 'pending' }] })
    await rm(database.path)
    await expect(take(tracker)).rejects.toMatchObject({
      code: 'tracker_unavailable',
      message: expect.stringContaining('does not exist'),
    })
    expect(existsSync(database.path)).toBe(false)
  })
})

test('a file that is replaced while we write gets the write, and the old one stays what it was', async () => {
  const slow = `create view slow as
      with recursive n (i) as (select 1 union all select i + 1 from n where i < 4000000) select max(i) as top from n;
    create trigger dawdle after update on tickets begin
      update tickets set type = (select top from slow) where id = new.id;
    end`
  const database = await make(`${ONE_TICKET} ${slow}`)
  const other = await make(ONE_TICKET)
  const tracker = database.track()
  const taking = take(tracker).catch((error: unknown) => error)
  await waitFor('our write', async () => existsSync(`${database.path}-journal`) || undefined)
  const old = join(database.folder, 'old.db')
  await rename(database.path, old)
  await rename(other.path, database.path)
  expect(await taking).toEqual({ kind: 'taken', word: 'in_progress' })
  expect(database.rows('select status from tickets')).toEqual([{ status: 'in_progress' }])
  await rename(old, database.path)
  expect(database.rows('select status from tickets')).toEqual([{ status: 'pending' }])
  expect(database.rows('pragma integrity_check')).toEqual([{ integrity_check: 'ok' }])
})

describe('what is no tickets database is refused in one sentence:', () => {
  const trackAt = (path: string) => {
    const tracker = createSqliteTableTracker(toMapping(path), { busyTimeoutMs: 200 })
    onTestFinished(async () => await tracker.close())
    return tracker
  }
  const trouble = async (path: string) => {
    const tracker = trackAt(path)
    const error: unknown = await fetch(tracker).then(
      () => new Error('it was read'),
      (thrown: unknown) => thrown,
    )
    if (!(error instanceof Error)) throw error
    await expect(take(tracker)).rejects.toMatchObject({ message: error.message })
    expect(error.message.split('\n')).toHaveLength(1)
    return error
  }

  test('missing, empty, a folder, a text, cut short', async () => {
    const { folder, path } = await make(ONE_TICKET)
    expect(await trouble(join(folder, 'nope.db'))).toMatchObject({
      code: 'tracker_unavailable',
      message: expect.stringContaining('nope.db does not exist'),
    })
    await writeFile(join(folder, 'empty.db'), '')
    expect(await trouble(join(folder, 'empty.db'))).toMatchObject({
      code: 'tracker_unavailable',
      message: expect.stringContaining('is empty'),
    })
    await mkdir(join(folder, 'folder.db'))
    expect(await trouble(join(folder, 'folder.db'))).toMatchObject({
      code: 'tracker_misfit',
      message: expect.stringContaining('is not a file'),
    })
    await writeFile(join(folder, 'text.db'), 'id,title\n'.repeat(1_000))
    expect(await trouble(join(folder, 'text.db'))).toMatchObject({
      code: 'tracker_misfit',
      message: expect.stringContaining('is not an SQLite database'),
    })
    expect(await trackAt(join(folder, 'text.db')).check(signal())).toMatchObject({ isUsable: false })
    await expect(trackAt(join(folder, 'nope.db')).check(signal())).rejects.toMatchObject({
      code: 'tracker_unavailable',
    })
    expect((await readdir(folder)).sort()).toEqual(
      ['empty.db', 'folder.db', 'text.db', path.slice(folder.length + 1)].sort(),
    )
  })

  test('a store of Swarm', async () => {
    const onDisk = STORES.find(({ isDurable }) => isDurable)
    if (onDisk === undefined) throw new Error('there is no store on disk')
    const store = await onDisk.open()
    onTestFinished(async () => await store[Symbol.asyncDispose]())
    const error = await trouble(join(store.folder, 'swarm.db'))
    expect(error).toMatchObject({
      code: 'tracker_misfit',
      message: expect.stringContaining('is a store of Swarm'),
    })
  })
})

/** What an ordinary user gets who may read the folder and nothing else. */
async function workAsReader(database: ForeignDatabase) {
  const isRoot = process.getuid?.() === 0
  await chmod(database.path, 0o444)
  await chmod(database.folder, 0o555)
  onTestFinished(async () => await chmod(database.folder, 0o755))
  const child = spawn(process.execPath, [TRACKER_PROCESS, database.path], {
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(isRoot ? { uid: 65_534, gid: 65_534 } : {}),
  })
  const [line] = await once(createInterface(child.stdout), 'line')
  return JSON.parse(String(line))
}

test('a file that we may only read gives no tickets that could not be taken, and is trouble that passes', async () => {
  const database = await make(ONE_TICKET)
  const { check, page, taken } = await workAsReader(database)
  expect(page).toMatchObject({
    code: 'tracker_unavailable',
    message: expect.stringContaining('cannot be written: tickets cannot be taken'),
  })
  expect(check).toMatchObject({
    isUsable: false,
    problems: [{ problem: expect.stringContaining('cannot be written: tickets cannot be taken') }],
  })
  expect(taken).toMatchObject({
    code: 'tracker_unavailable',
    fix: 'let this user write the file and its folder',
  })
  expect(database.rows('select status from tickets')).toEqual([{ status: 'pending' }])
})

test('a write-ahead log in a folder that we may only read is said', async () => {
  const { page, taken } = await workAsReader(await make(ONE_TICKET, { journal: 'wal' }))
  expect(page).toMatchObject({ code: 'tracker_unavailable' })
  expect(taken).toMatchObject({ code: 'tracker_unavailable' })
  for (const { fix } of [page, taken]) expect(fix).toContain('let this user')
})

test('a thread that is busy beyond its time is given up, and another one works once it is gone', async () => {
  const database = await make(`create table items (id integer primary key, title text, status text);
    insert into items values (1, 'T', 'pending');
    create view tickets as select * from items where
      (with recursive n (i) as (select 1 union all select i + 1 from n where i < 5000000) select max(i) from n) > 0`)
  const tracker = database.track({}, { callTimeoutMs: 400 })
  await expect(fetch(tracker)).rejects.toMatchObject({
    code: 'tracker_unavailable',
    message: expect.stringContaining('did not answer within 400 ms'),
  })
  await waitFor('the end of its lock', async () => {
    database.owner((owner) => owner.exec('drop view tickets; create view tickets as select * from items'))
    return true
  })
  const page = await waitFor('a page', async () => await fetch(tracker))
  expect(page).toMatchObject({ kind: 'page', tickets: [{ externalId: '1' }] })
})
