/** What is done with files that are not as they should be: one clear error each, and nothing changed. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Store } from '../../src/store/contract.ts'
import { MIGRATIONS } from '../../src/store/migrations/list.ts'
import type { Migration } from '../../src/store/migrations/migration.ts'
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { createSeededBytes } from '../support/seeded-bytes.ts'
import { createTestProject, createTestTicket } from '../support/store.ts'

const STORE_PROCESS = fileURLToPath(new URL('../support/store-process.ts', import.meta.url))
const isRoot = process.getuid?.() === 0

let folder: string
let path: string
const cleanups: (() => Promise<void> | void)[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'swarm-store-files-'))
  path = join(folder, 'swarm.db')
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  await rm(folder, { recursive: true, force: true })
})

async function openStore(at: string = path, migrations?: readonly Migration[]): Promise<Store> {
  const store = await openSqliteStore({
    path: at,
    clock: createManualClock(),
    randomBytes: createSeededBytes(2),
    ...(migrations === undefined ? {} : { migrations }),
  })
  cleanups.push(() => store.close())
  return store
}

/** A closed store with one ticket in it. */
async function makeStore(): Promise<void> {
  const store = await openStore()
  await createTestTicket(store, await createTestProject(store), { title: 'kept' })
  await store.close()
}

function edit(at: string, work: (db: DatabaseSync) => void): void {
  const db = new DatabaseSync(at)
  work(db)
  db.close()
}

async function expectRefused(code: string, message: RegExp): Promise<void> {
  const [before, names] = [await readFile(path), await readdir(folder)]
  const refused = openStore()
  await expect(refused).rejects.toMatchObject({ name: 'StoreError', code })
  await expect(refused).rejects.toThrow(message)
  await expect(refused).rejects.toThrow(path)
  expect((await readFile(path)).equals(before), 'the file is as it was').toBe(true)
  const extra = (await readdir(folder)).filter((name) => !names.includes(name))
  // The lock beside the file may be there; nothing else.
  expect(extra.filter((name) => name !== 'swarm.db.lock')).toEqual([])
}

async function start(what: string, at: string = path) {
  const child = spawn(process.execPath, [STORE_PROCESS, at, what], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  cleanups.push(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return { child, ended, next: async () => String((await lines.next()).value) }
}

describe('files that are not ours to open', () => {
  test('a store of a newer version is refused, and says what to do', async () => {
    await makeStore()
    edit(path, (db) => db.exec(`pragma user_version = ${MIGRATIONS.length + 1}`))
    await expectRefused('newer_version', /install the newer program/)
  })

  test("another program's file is refused, not migrated: with another mark, and with none", async () => {
    edit(path, (db) => db.exec('create table tickets (id integer primary key, status text)'))
    await expectRefused('foreign_file', /another program/)
    await rm(path)
    edit(path, (db) => db.exec('pragma application_id = 42; create table t (id integer)'))
    await expectRefused('foreign_file', /another program/)
    expect(await readdir(folder)).toEqual(['swarm.db'])
  })

  test('a file that is no database is refused', async () => {
    await writeFile(path, 'These are notes of a person, and longer than the head of a database: '.repeat(5))
    await expectRefused('corrupt', /not an SQLite database/)
    await writeFile(path, 'short')
    await expectRefused('corrupt', /not an SQLite database/)
  })

  test('a damaged store is refused: overwritten pages, a cut tail, a broken schema', async () => {
    const store = await openStore()
    const project = await createTestProject(store)
    for (let i = 0; i < 200; i++) await createTestTicket(store, project, { body: 'x'.repeat(500) })
    await store.close()
    const sound = join(folder, 'sound')
    await copyFile(path, sound)
    const { size } = await stat(path)
    const damages: Record<string, (file: Awaited<ReturnType<typeof open>>) => Promise<unknown>> = {
      'overwritten pages': (file) => file.write(Buffer.alloc(40_000, 0x5a), 0, 40_000, 8_192),
      'a cut tail': (file) => file.truncate(Math.floor(size / 2 / 4096) * 4096),
      'a broken schema page': (file) => file.write(Buffer.alloc(60, 0xff), 0, 60, 100),
    }
    for (const damage of Object.values(damages)) {
      await copyFile(sound, path)
      const file = await open(path, 'r+')
      await damage(file)
      await file.close()
      await expectRefused('corrupt', /damaged/)
    }
  })

  test('a folder that is not there, and a folder in the place of the file', async () => {
    await expect(openStore(join(folder, 'none', 'swarm.db'))).rejects.toMatchObject({ code: 'unavailable' })
    await mkdir(path)
    await expect(openStore()).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('an empty file, and an empty database, become a store', async () => {
    await writeFile(path, '')
    await (await openStore()).close()
    await rm(path)
    edit(path, (db) => db.exec('vacuum'))
    const store = await openStore()
    expect(await store.read.listProjects()).toEqual([])
  })
})

describe('a file as it should be', () => {
  test('WAL, full synchronisation, foreign keys, strict tables, our mark, the version, readable by its owner only', async () => {
    await makeStore()
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await stat(`${path}.lock`)).mode & 0o777).toBe(0o600)
    edit(path, (db) => {
      const value = (text: string) => Object.values(db.prepare(text).get() ?? {})[0]
      expect(value('pragma journal_mode')).toBe('wal')
      expect(value('pragma application_id')).toBe(0x5377726d)
      expect(value('pragma user_version')).toBe(MIGRATIONS.length)
      expect(
        value(
          "select count(*) from pragma_table_list where type = 'table' and strict = 0 and name not like 'sqlite_%'",
        ),
      ).toBe(0)
      expect(db.prepare('pragma foreign_key_check').all()).toEqual([])
      expect(value('pragma integrity_check')).toBe('ok')
    })
  })

  test('reading handles cannot write', async () => {
    const store = await openStore()
    await createTestTicket(store, await createTestProject(store))
    const { createRunRead } = await import('../../src/store/sqlite/run-read.ts')
    const { openConnection } = await import('../../src/store/sqlite/connection.ts')
    const { createMutex } = await import('../../src/store/sqlite/mutex.ts')
    const memory = openConnection(':memory:')
    memory.exec('create table tickets (title text)')
    for (const at of [path, ':memory:']) {
      const reads = createRunRead({
        path: at,
        writer: memory,
        turns: createMutex(),
        clock: createManualClock(),
        deadlineMs: 10_000,
      })
      for (const weight of ['quick', 'heavy'] as const) {
        await expect(
          reads.run(weight, async ({ db }) => await db.updateTable('tickets').set({ title: 'x' }).execute()),
        ).rejects.toMatchObject({ code: 'read_only' })
      }
      await reads.close()
    }
    memory.close()
  })

  test('a heavy read that passes its deadline is given up, and the next one is served', async () => {
    await makeStore()
    const { createReadWorker } = await import('../../src/store/sqlite/read-worker-client.ts')
    const worker = createReadWorker(path, { deadlineMs: 2_000 })
    cleanups.push(() => worker.close())
    const endless =
      'with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n where i < 0'
    const [given, queued] = await Promise.allSettled([
      worker.execute(endless, []),
      worker.execute('select 1', []),
    ])
    expect(given).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } })
    // It stood behind the endless one in the thread that had to be ended.
    expect(queued).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } })
    expect((await worker.execute('select title from tickets', [])).rows).toEqual([{ title: 'kept' }])
    await expect(worker.execute('select x from nowhere', [])).rejects.toThrow(/no such table/)
    await expect(worker.execute('delete from tickets', [])).rejects.toThrow(/readonly|read-only/)
    await worker.close()
    await expect(worker.execute('select 1', [])).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('a backup is a whole store, taken while others write, and never replaces a file', async () => {
    const store = await openStore()
    const project = await createTestProject(store)
    const target = join(folder, 'backup.db')
    const writes = Promise.all(Array.from({ length: 50 }, () => createTestTicket(store, project)))
    await store.backup(target)
    await writes
    await expect(store.backup(target)).rejects.toMatchObject({ code: 'conflict' })
    const copy = await openStore(target)
    const { items } = await copy.read.listTickets({ countMax: 500 })
    expect(items.length).toBe((await copy.read.findProject({ projectId: project.id }))?.ticketCount ?? 0)
  })
})

describe('one coordinator per file', () => {
  test('P4: a second coordinator on one SQLite store refuses to start, by any name of the file', async () => {
    await openStore()
    for (const name of [path, join(folder, '..', folder.split('/').at(-1) ?? '', 'swarm.db')]) {
      await expect(openStore(name)).rejects.toMatchObject({ code: 'locked' })
      await expect(openStore(name)).rejects.toThrow(`process ${process.pid} on ${hostname()}`)
    }
  })

  test("P4: another process's store is refused, naming process and host; it dies with the process", async () => {
    const holder = await start('hold')
    expect(await holder.next()).toBe('open')
    const refused = openStore()
    await expect(refused).rejects.toMatchObject({ code: 'locked' })
    await expect(refused).rejects.toThrow(`process ${holder.child.pid} on ${hostname()}`)
    holder.child.kill('SIGKILL')
    await holder.ended
    const store = await openStore()
    expect(await store.read.listProjects()).toEqual([])
  })

  test('P4: of many that start at once, one gets the file', async () => {
    const starting = await Promise.all(Array.from({ length: 4 }, () => start('hold')))
    const said = await Promise.all(starting.map(({ next }) => next()))
    expect(said.filter((line) => line === 'open')).toHaveLength(1)
    expect(said.filter((line) => line === 'error locked')).toHaveLength(3)
  })

  test('a refused second open does not take the lock away from the first', async () => {
    const store = await openStore()
    await expect(openStore()).rejects.toMatchObject({ code: 'locked' })
    const other = await start('hold')
    expect(await other.next()).toBe('error locked')
    await store.close()
    expect(await (await start('hold')).next()).toBe('open')
  })
})

describe('migrations', () => {
  const current = MIGRATIONS.length
  const next: Migration = {
    number: current + 1,
    name: 'next',
    async up(db) {
      await sql.raw('create table next (id integer) strict').execute(db)
    },
  }
  const failing: Migration = {
    number: current + 1,
    name: 'failing',
    async up(db) {
      await sql.raw('create table half (id integer) strict').execute(db)
      await sql.raw('create table half (id integer) strict').execute(db)
    },
  }
  const versionOf = (at: string) => {
    let version: unknown
    edit(at, (db) => {
      version = db.prepare('pragma user_version').get()?.user_version
    })
    return version
  }

  test('a new file is not backed up; an older one is, before each step', async () => {
    await makeStore()
    expect((await readdir(folder)).filter((name) => name.includes('backup'))).toEqual([])
    const last: Migration = { ...next, number: current + 2, up: async () => {} }
    await (await openStore(path, [...MIGRATIONS, next, last])).close()
    expect(versionOf(path)).toBe(current + 2)
    expect(versionOf(`${path}.backup-v${current}`)).toBe(current)
    expect(versionOf(`${path}.backup-v${current + 1}`)).toBe(current + 1)
    const restored = await openStore(`${path}.backup-v${current}`)
    expect((await restored.read.listTickets({})).items[0]?.title).toBe('kept')
  })

  test('a file of the first version keeps its tickets, which are of no tracker', async () => {
    await (await openStore(path, MIGRATIONS.slice(0, 1))).close()
    edit(path, (db) =>
      db.exec(`insert into projects values ('p', 'OLD', 'Old', null, 'local', 'main', null, '{}', 1, 1, 1, 1);
        insert into tickets values ('t', 'p', 'OLD-1', 1, 'kept', '', '', '[]', 3, 'pending', null, null, null, null,
          '{}', null, 0, 1, 0, null, null, null, null, 'me', 1, 1, null, 1)`),
    )
    const store = await openStore()
    expect(versionOf(`${path}.backup-v1`)).toBe(1)
    expect(await store.read.findTicket({ key: 'OLD-1' })).toMatchObject({
      title: 'kept',
      tracker: null,
      externalId: null,
    })
    const claimed = await store.write.claimNext({ holder: 'a', leaseTtlMs: 1_000 })
    expect(claimed?.ticket.key).toBe('OLD-1')
  })

  test('a step that fails leaves the old version, whole', async () => {
    await makeStore()
    await expect(openStore(path, [...MIGRATIONS, failing])).rejects.toMatchObject({ code: 'unavailable' })
    expect(versionOf(path)).toBe(current)
    const store = await openStore()
    expect((await store.read.listTickets({})).items[0]?.title).toBe('kept')
  })

  test('a crash in the middle of a step leaves the old version, whole', async () => {
    await makeStore()
    const { ended } = await start('crash-migration')
    expect(await ended).toEqual([null, 'SIGKILL'])
    edit(path, (db) => {
      expect(db.prepare('pragma user_version').get()).toEqual({ user_version: current })
      expect(db.prepare("select name from sqlite_master where name = 'half_way'").all()).toEqual([])
      expect(db.prepare('pragma integrity_check').get()).toEqual({ integrity_check: 'ok' })
    })
    const store = await openStore()
    expect((await store.read.listTickets({})).items[0]?.title).toBe('kept')
  })
})

describe('disks', () => {
  /** Mounts, as root; what is mounted is unmounted after the test. */
  function mount(target: string, ...options: readonly string[]): void {
    const { status, stderr } = spawnSync('mount', [...options, target], { encoding: 'utf8' })
    if (status !== 0) throw new Error(`mount ${options.join(' ')} ${target}: ${stderr}`)
    cleanups.push(() => void spawnSync('umount', ['--lazy', target]))
  }

  test('a folder that is read-only is refused', async () => {
    const inner = join(folder, 'inner')
    await mkdir(inner)
    path = join(inner, 'swarm.db')
    await makeStore()
    if (isRoot) {
      mount(inner, '--bind', inner)
      mount(inner, '--options', 'remount,bind,ro')
    } else {
      await chmod(inner, 0o500)
      cleanups.push(() => chmod(inner, 0o700))
    }
    const before = await readFile(path)
    await expect(openStore()).rejects.toMatchObject({ code: 'read_only' })
    expect((await readFile(path)).equals(before)).toBe(true)
    await expect(openStore(join(inner, 'new.db'))).rejects.toMatchObject({ code: 'read_only' })
  })

  test('a file that is read-only is refused', async () => {
    await makeStore()
    if (isRoot) {
      mount(path, '--bind', path)
      mount(path, '--options', 'remount,bind,ro')
    } else {
      await chmod(path, 0o400)
    }
    await expectRefused('read_only', /read-only/)
  })

  test('a full disk: the write is refused whole, reading goes on, and writing again once there is room', async () => {
    if (!isRoot) return await expectFullByLimit()
    const small = join(folder, 'small')
    await mkdir(small)
    mount(small, '--types', 'tmpfs', '--options', 'size=3m', 'none')
    const store = await openStore(join(small, 'swarm.db'))
    const project = await createTestProject(store)
    let written = 0
    const fill = async () => {
      for (;;) {
        await createTestTicket(store, project, { body: 'x'.repeat(100_000) })
        written += 1
      }
    }
    await expect(fill()).rejects.toMatchObject({ code: 'disk_full' })
    await expect(fill()).rejects.toMatchObject({ code: 'disk_full' })
    expect(written).toBeGreaterThan(1)
    expect((await store.read.listTickets({})).items).toHaveLength(written)
    expect((await store.read.findProject({ projectId: project.id }))?.ticketCount).toBe(written)
    mount(small, '--types', 'tmpfs', '--options', 'remount,size=20m', 'none')
    await createTestTicket(store, project, { body: 'x'.repeat(100_000) })
    expect((await store.read.listTickets({})).items).toHaveLength(written + 1)
    await store.close()
  })

  /** Without the right to mount: a limit on the length of files has the same effect. */
  async function expectFullByLimit(): Promise<void> {
    const limited = spawnSync(
      'prlimit',
      ['--fsize=2000000', '--', process.execPath, STORE_PROCESS, path, 'fill'],
      { encoding: 'utf8' },
    )
    const lines = limited.stdout.trim().split('\n')
    expect(lines).toContain('error disk_full')
    const written = lines.filter((line) => line.startsWith('created')).length
    const store = await openStore()
    expect((await store.read.listTickets({ countMax: 500 })).items).toHaveLength(written)
  }
})

test('U14: a path with odd characters is a path and nothing else', async () => {
  for (const name of ["it's a #1 ?mode=ro%20.db", 'ünïcode ✓.db', 'file:x.db', '-rf.db']) {
    const at = join(folder, name)
    const store = await openStore(at)
    await createTestProject(store)
    await store.close()
    expect((await readdir(dirname(at))).includes(name)).toBe(true)
    expect(await (await openStore(at)).read.listProjects()).toHaveLength(1)
  }
})
