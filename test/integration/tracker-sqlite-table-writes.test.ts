/** What the owner's constraints, triggers and keys say to our writes, and that a check hears it before. */
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Tracker, WriteBackInput } from '../../src/tracker/contract.ts'
import { type ForeignDatabase, makeForeignDatabase } from '../support/foreign-database.ts'

const TIMEOUT_MS = 30_000

async function make(...input: Parameters<typeof makeForeignDatabase>): Promise<ForeignDatabase> {
  const database = await makeForeignDatabase(...input)
  onTestFinished(async () => await database[Symbol.asyncDispose]())
  return database
}

const signal = () => AbortSignal.timeout(TIMEOUT_MS)
const take = (tracker: Tracker, externalId = '1', lastWord: string | null = null) =>
  tracker.take({ externalId, mark: 'swarm:1', lastWord }, signal())
const writeBack = (tracker: Tracker, input: Partial<WriteBackInput> = {}) =>
  tracker.writeBack(
    {
      externalId: '1',
      mark: 'swarm:1',
      lastWord: 'in_progress',
      status: 'done',
      outputs: { summary: 'ok' },
      error: null,
      branch: 'swarm/1',
      pullRequest: null,
      at: Date.UTC(2026, 0, 1),
      ...input,
    },
    signal(),
  )

const toTable = (status: string, more = '') =>
  `create table tickets (id integer primary key, title text, status ${status}, claimed_by text, result text, error text, branch text${more});
   insert into tickets (id, title, status) values (1, 'T', 'pending');`

/** Checks, then takes: both must say the same, and nothing is half-written. */
async function expectRefused(
  database: ForeignDatabase,
  expected: { message: string; fix: string },
  tracker: Tracker = database.track(),
) {
  const before = database.rows('select * from tickets')
  const files = await database.fingerprint()
  const check = await tracker.check(signal())
  await tracker.close()
  expect(await database.fingerprint()).toEqual(files)
  expect(check.isUsable).toBe(false)
  const refused = check.problems.filter(({ severity }) => severity === 'refused')
  expect(refused.map(({ problem }) => problem).join()).toContain(expected.message)
  expect(refused.map(({ fix }) => fix).join()).toContain(expected.fix)
  await expect(take(database.track())).rejects.toMatchObject({
    code: 'tracker_refused',
    message: expect.stringContaining(expected.message),
    fix: expect.stringContaining(expected.fix),
  })
  expect(database.rows('select * from tickets')).toEqual(before)
}

describe('constraints', () => {
  test.each([
    ["text check (status in ('pending', 'active', 'done', 'failed', 'canceled'))"],
    [`text check ("status" in ('pending', 'active', 'done', 'failed', 'canceled'))`],
    [
      "text constraint known_status check (tickets.[status] in ('pending', 'active', 'done', 'failed', 'canceled'))",
    ],
  ])('a list of words that does not hold ours is said with the words that it holds: %s', async (status) => {
    const database = await make(toTable(status))
    await expectRefused(database, {
      message: 'CHECK constraint failed',
      fix: 'let trackers.legacy.statuses.running begin with one of: active',
    })
    const statuses = { pending: ['pending'], running: ['active'], done: ['done'], failed: ['failed'] }
    const mended = database.track({ statuses })
    expect(await mended.check(signal())).toMatchObject({ isUsable: true, mirroredCount: 1 })
    expect(await take(mended)).toEqual({ kind: 'taken', word: 'active' })
    expect(await writeBack(mended, { lastWord: 'active' })).toEqual({ kind: 'written', word: 'done' })
  })

  test('a word for an end that is not in the list is heard of before the first ticket', async () => {
    const database = await make(toTable("text check (status in ('pending', 'in_progress', 'done'))"))
    const tracker = database.track()
    const check = await tracker.check(signal())
    expect(check.isUsable).toBe(true)
    const refused = check.problems.filter(({ severity }) => severity === 'refused')
    expect(refused).toMatchObject([
      {
        problem: expect.stringContaining('"failed" cannot be written back'),
        fix: 'change the constraint or trigger of table "tickets", as its words are all in use; or set trackers.legacy.statuses.failed to null: it is then never written',
      },
      { problem: expect.stringContaining('"canceled" cannot be written back') },
    ])
    await take(tracker)
    await expect(writeBack(tracker, { status: 'failed' })).rejects.toMatchObject({ code: 'tracker_refused' })
    expect(database.rows('select status, result from tickets')).toEqual([
      { status: 'in_progress', result: null },
    ])
    expect(await writeBack(tracker)).toMatchObject({ kind: 'written' })
  })

  test('a constraint over several columns, and one on the mark', async () => {
    const several = await make(toTable('text', ", check (status <> 'in_progress' or branch is not null)"))
    await expectRefused(several, {
      message: 'CHECK constraint failed',
      fix: 'trackers.legacy.statuses.running',
    })
    const unique = await make(`${toTable('text', ', unique (claimed_by)')}
      insert into tickets (id, title, status, claimed_by) values (2, 'T', 'done', 'swarm:1')`)
    await expect(take(unique.track())).rejects.toMatchObject({
      code: 'tracker_refused',
      message: expect.stringContaining('UNIQUE constraint failed: tickets.claimed_by'),
    })
    expect(unique.rows('select status from tickets where id = 1')).toEqual([{ status: 'pending' }])
  })

  test('columns that may not be NULL are emptied with an empty text', async () => {
    const database = await make(`create table tickets (id integer primary key, title text, status text,
        claimed_by text not null default '', error text not null default '') strict;
      insert into tickets (id, title, status) values (1, 'T', 'pending')`)
    const tracker = database.track()
    expect(await tracker.check(signal())).toMatchObject({ isUsable: true })
    expect(await take(tracker)).toMatchObject({ kind: 'taken' })
    expect(await writeBack(tracker, { status: 'pending' })).toMatchObject({ kind: 'written' })
    expect(database.rows('select status, claimed_by, error from tickets')).toEqual([
      { status: 'pending', claimed_by: '', error: '' },
    ])
    expect(await take(tracker, '1', 'pending')).toMatchObject({ kind: 'taken' })
  })
})

describe('triggers', () => {
  const on = (body: string, when = '') =>
    `${toTable('text')} create trigger guard before update on tickets ${when} begin ${body}; end;`

  test('one that says no is heard with its own words', async () => {
    const database = await make(on(`select raise(abort, 'ask Bob first')`, `when new.status = 'in_progress'`))
    await expectRefused(database, { message: 'ask Bob first', fix: 'trackers.legacy.statuses.running' })
  })

  test('one that undoes the whole transaction leaves nothing of ours', async () => {
    const database = await make(on(`select raise(rollback, 'not now')`))
    await expectRefused(database, { message: 'not now', fix: 'trigger of table "tickets"' })
  })

  test('one that ignores the write is not taken for a success', async () => {
    const database = await make(on('select raise(ignore)'))
    await expectRefused(database, {
      message: '"status" was set to "in_progress", and still is "pending"',
      fix: 'change the trigger',
    })
  })

  test('one that writes another word, or takes the mark away, is not taken for a success', async () => {
    const word = await make(`${toTable('text')} create trigger rename after update of status on tickets
      begin update tickets set status = 'ACTIVE' where id = new.id; end`)
    await expectRefused(word, {
      message: 'a trigger made "ACTIVE" of it; it was undone',
      fix: 'change the trigger',
    })
    const mark = await make(`${toTable('text')} create trigger unclaim after update on tickets
      begin update tickets set claimed_by = null where id = new.id; end`)
    await expectRefused(mark, { message: '"claimed_by" was set to', fix: 'change the trigger' })
  })

  test('one that notes the time or keeps a history goes on working, also with a full-text index', async () => {
    const database = await make(`${toTable('text', ', updated_at text')}
      create table history (ticket integer references tickets (id), was text, became text);
      create virtual table words using fts5 (title, content = 'tickets', content_rowid = 'id');
      insert into words (rowid, title) values (1, 'T');
      create trigger touch after update on tickets begin
        update tickets set updated_at = datetime('now') where id = new.id;
        insert into history values (old.id, old.status, new.status);
        insert into words (words, rowid, title) values ('delete', old.id, old.title);
        insert into words (rowid, title) values (new.id, new.title);
      end;`)
    const tracker = database.track()
    expect(await tracker.check(signal())).toMatchObject({ isUsable: true })
    expect(await take(tracker)).toMatchObject({ kind: 'taken' })
    expect(await writeBack(tracker)).toMatchObject({ kind: 'written' })
    expect(database.rows('select was, became from history')).toEqual([
      { was: 'pending', became: 'in_progress' },
      { was: 'in_progress', became: 'done' },
    ])
    expect(database.rows(`select rowid as id from words where words match 't'`)).toEqual([{ id: 1 }])
  })

  test('one with texts in double quotes, as the usual library takes them, goes on working', async () => {
    const database = await make()
    const owner = new DatabaseSync(database.path, { enableDoubleQuotedStringLiterals: true })
    owner.exec(`insert into tickets (id, title) values ('1', 'T');
      create trigger guard before update on tickets when new.status = "archived" begin
        select raise(abort, "never");
      end`)
    owner.close()
    const tracker = database.track()
    expect(await tracker.check(signal())).toMatchObject({ isUsable: true })
    expect(await take(tracker)).toMatchObject({ kind: 'taken' })
  })

  test('one that reads another table is tried with what that table holds', async () => {
    const schema = (names: string) =>
      `${on(
        `select raise(abort, 'nobody of that name') where not exists (select 1 from people where name = new.claimed_by)`,
        'when new.claimed_by is not null',
      )} create table people (name text); insert into people values ${names};`
    await expectRefused(await make(schema(`('bob')`)), { message: 'nobody of that name', fix: '' })
    const known = await make(schema(`('swarm:check'), ('swarm:1')`))
    expect(await known.track().check(signal())).toMatchObject({ isUsable: true })
    expect(await take(known.track())).toMatchObject({ kind: 'taken' })
  })

  test('one that needs a function of its own program is said', async () => {
    const database = await make()
    database.owner((owner) => {
      owner.function('their_log', () => null)
      owner.exec(`insert into tickets (id, title) values ('1', 'T');
        create trigger log after update on tickets begin select their_log(new.id); end`)
    })
    await expectRefused(database, {
      message: '"tickets" cannot be written: no such function: their_log',
      fix: 'so that other programs can run them',
    })
    expect((await database.track().fetchByIds(['1'], signal())).tickets).toHaveLength(1)
  })
})

describe('foreign keys', () => {
  const states = (words: string) => `pragma foreign_keys = on;
    create table states (name text primary key);
    insert into states values ${words};
    ${toTable('text references states (name)')}`

  test('a word that the table of words does not hold is refused, and the check says so', async () => {
    const database = await make(states(`('pending'), ('done'), ('failed'), ('canceled')`))
    await expectRefused(database, {
      message: 'FOREIGN KEY constraint failed',
      fix: 'add what the foreign key refers to',
    })
    const known = await make(states(`('pending'), ('in_progress'), ('done'), ('failed'), ('canceled')`))
    expect(await known.track().check(signal())).toMatchObject({ isUsable: true })
    expect(await take(known.track())).toMatchObject({ kind: 'taken' })
  })

  test('a key that is only looked at when the transaction ends is kept as well', async () => {
    const database = await make(
      states(`('pending')`).replace('(name)', '(name) deferrable initially deferred'),
    )
    await expect(take(database.track())).rejects.toMatchObject({ code: 'tracker_refused' })
    expect(database.rows('select status from tickets')).toEqual([{ status: 'pending' }])
  })
})

describe('views', () => {
  const items = `create table items (id integer primary key, title text, status text);
    insert into items values (1, 'T', 'pending');`

  test('one that cannot be written is said, with what would mend it', async () => {
    const database = await make(`${items} create view tickets as select * from items`)
    expect(await database.track().fetchByStates({ states: ['pending'] }, signal())).toMatchObject({
      tickets: [{ externalId: '1' }],
    })
    await expectRefused(database, {
      message: 'cannot modify tickets because it is a view',
      fix: 'INSTEAD OF UPDATE',
    })
  })

  test('one in which a taken ticket is not seen any more is said', async () => {
    const database = await make(`${items} create view tickets as select * from items where status = 'pending';
      create trigger change instead of update on tickets begin update items set status = new.status where id = old.id; end`)
    await expectRefused(database, {
      message: 'after the write the row is not in "tickets" any more; it was undone',
      fix: 'trackers.legacy.table',
    })
  })
})

describe('without a column for marks', () => {
  const schema = `create table tickets (id integer primary key, title text, status text);
    insert into tickets values (1, 'T', 'pending'), (2, 'T', 'in_progress')`

  test('a running ticket is ours only when we recorded that we took it', async () => {
    const database = await make(schema)
    const tracker = database.track()
    expect(await take(tracker, '2')).toEqual({ kind: 'lost', word: 'in_progress', by: null })
    expect(await take(tracker, '1')).toEqual({ kind: 'taken', word: 'in_progress' })
    expect(await take(tracker, '1')).toEqual({ kind: 'lost', word: 'in_progress', by: null })
    expect(await take(tracker, '1', 'in_progress')).toEqual({ kind: 'taken', word: 'in_progress' })
    expect(await writeBack(tracker, { lastWord: null })).toMatchObject({ kind: 'lost' })
    expect(await writeBack(tracker)).toEqual({ kind: 'written', word: 'done' })
    expect(await writeBack(tracker, { lastWord: 'done' })).toEqual({ kind: 'written', word: 'done' })
  })
})

test('a schema that is hostile to those who make it again does nothing', async () => {
  const database = await make(toTable('text'))
  database.owner((owner) => {
    owner.enableDefensive(false)
    owner.exec(`pragma writable_schema = on;
      insert into sqlite_schema (type, name, tbl_name, rootpage, sql) values
        ('view', 'evil', 'evil', 0, 'create view evil as select 1; attach ''${database.folder}/made.db'' as a; create table a.t (x)');`)
  })
  const tracker = database.track()
  await tracker.check(signal()).catch(() => undefined)
  await tracker.close()
  expect(Object.keys(await database.fingerprint())).toHaveLength(1)
})
