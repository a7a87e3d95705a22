/** What people's tables look like: names, identifiers, values, instants. */
import { describe, expect, onTestFinished, test } from 'vitest'
import type { FetchByStatesInput, Tracker, TrackerPage } from '../../src/tracker/contract.ts'
import {
  type ForeignDatabase,
  type MappingChanges,
  makeForeignDatabase,
  TICKETS_TABLE,
} from '../support/foreign-database.ts'

const TIMEOUT_MS = 30_000
const AT = Date.UTC(2026, 4, 6, 7, 8, 9, 123)

async function make(...input: Parameters<typeof makeForeignDatabase>): Promise<ForeignDatabase> {
  const database = await makeForeignDatabase(...input)
  onTestFinished(async () => await database[Symbol.asyncDispose]())
  return database
}

const signal = () => AbortSignal.timeout(TIMEOUT_MS)

async function fetch(tracker: Tracker, input: Partial<FetchByStatesInput> = {}) {
  const page: TrackerPage = await tracker.fetchByStates({ states: ['pending'], ...input }, signal())
  if (page.kind !== 'page') throw new Error('the page is unchanged')
  return page
}

const take = (tracker: Tracker, externalId: string, lastWord: string | null = null) =>
  tracker.take({ externalId, mark: 'swarm:1', lastWord }, signal())

const finish = (tracker: Tracker, externalId: string, more: { lastWord?: string; at?: number } = {}) =>
  tracker.writeBack(
    {
      externalId,
      mark: 'swarm:1',
      lastWord: null,
      status: 'done',
      outputs: { summary: 'ok', list: [1, null] },
      error: null,
      branch: 'swarm/x',
      pullRequest: 'https://forge.example/1',
      at: AT,
      ...more,
    },
    signal(),
  )

describe('names of tables, columns and words', () => {
  test('other names everywhere, reserved words, spaces, quotes and another case are found and written', async () => {
    const database = await make(`
      create table "order ""by""" ("group" integer primary key, "state" text, "select" text, "Long text" text,
        "how; drop table x" text, "who""" text, out json);
      insert into "order ""by""" values (7, 'open', 'First', 'Body', 'high', null, null);`)
    const mapping: MappingChanges = {
      table: 'ORDER "by"',
      columns: {
        id: 'GROUP',
        status: 'State',
        title: 'select',
        body: 'long TEXT',
        priority: 'how; drop table x',
        claimedBy: 'who"',
        result: 'out',
      },
      statuses: { pending: ['open', 'reopened'], running: ['in work'], done: ['closed'] },
      priorities: { high: 2 },
      workflow: 'code-change',
      agent: 'coder',
      labels: ['legacy'],
    }
    const tracker = database.track(mapping)
    const { tickets, problems } = await fetch(tracker)
    expect(problems).toEqual([])
    expect(tickets).toMatchObject([
      {
        externalId: '7',
        word: 'open',
        status: 'pending',
        title: 'First',
        body: 'Body',
        priority: 2,
        workflow: 'code-change',
        agent: 'coder',
        labels: ['legacy'],
        type: '',
      },
    ])
    expect(await take(tracker, '7')).toEqual({ kind: 'taken', word: 'in work' })
    expect(await finish(tracker, '7', { lastWord: 'in work' })).toEqual({ kind: 'written', word: 'closed' })
    expect(database.rows('select * from "order ""by"""')).toEqual([
      {
        group: 7,
        state: 'closed',
        select: 'First',
        'Long text': 'Body',
        'how; drop table x': 'high',
        'who"': 'swarm:1',
        out: '{"summary":"ok","list":[1,null]}',
      },
    ])
  })

  test('a missing table or column is named with the setting and what there is, the nearest first; nothing is guessed', async () => {
    const database = await make(
      'create table tickets (id integer primary key, state text, titel text, "a b" text)',
    )
    const calls = [
      (tracker: Tracker) => fetch(tracker),
      (tracker: Tracker) => tracker.fetchByIds(['1'], signal()),
      (tracker: Tracker) => take(tracker, '1'),
      (tracker: Tracker) => finish(tracker, '1'),
    ]
    for (const call of calls) {
      await expect(call(database.track())).rejects.toMatchObject({
        code: 'tracker_misfit',
        message: `tracker legacy: column "status" is not in table "tickets" of ${database.path}; column "title" is not in table "tickets" of ${database.path}`,
        fix: 'set trackers.legacy.columns.status to one of: state, id, titel, "a b"; set trackers.legacy.columns.title to one of: titel, id, state, "a b"',
      })
    }
    await expect(fetch(database.track({ table: 'ticket' }))).rejects.toMatchObject({
      code: 'tracker_misfit',
      message: `tracker legacy: table "ticket" is not in ${database.path}`,
      fix: 'set trackers.legacy.table to one of: tickets',
    })
    const named = database.track({ columns: { status: 'state', title: 'titel', pullRequest: 'pr' } })
    await expect(fetch(named)).rejects.toMatchObject({
      message: expect.stringContaining('column "pr" is not in table "tickets"'),
      fix: expect.stringContaining('set trackers.legacy.columns.pull-request to one of: '),
    })
    expect(await database.track().check(signal())).toMatchObject({
      isUsable: false,
      problems: [{ severity: 'refused' }, { severity: 'refused' }],
    })
  })

  test('a column that is there by its usual name is used, one that is not is a note of the check', async () => {
    const database =
      await make(`create table tickets (id integer primary key, status text, title text, branch text);
      insert into tickets values (1, 'pending', 'T', null)`)
    const tracker = database.track()
    const check = await tracker.check(signal())
    expect(check.isUsable).toBe(true)
    expect(check.mapping).toContainEqual({ part: 'branch', use: 'branch' })
    expect(check.mapping).toContainEqual({
      part: 'result',
      use: 'not written back: there is no column "result"',
    })
    expect(check.problems).toContainEqual({
      externalId: null,
      severity: 'note',
      problem: expect.stringMatching(/^table "tickets" has no .*"claimed_by", "result", .*: tickets are/),
      fix: null,
    })
    await take(tracker, '1')
    expect(await finish(tracker, '1', { lastWord: 'in_progress' })).toMatchObject({ kind: 'written' })
    expect(database.rows('select * from tickets')).toEqual([
      { id: 1, status: 'done', title: 'T', branch: 'swarm/x' },
    ])
  })

  test('usual columns that are not there are one note, with the columns that nobody uses', async () => {
    const database = await make('create table tickets (id integer primary key, status, title, owner, notes)')
    const { mapping, problems } = await database.track({ workflow: 'code-change' }).check(signal())
    expect(mapping).toContainEqual({ part: 'claimed-by', use: expect.stringContaining('"claimed_by"') })
    expect(mapping).toContainEqual({ part: 'workflow', use: 'no column: always "code-change"' })
    expect(mapping).toContainEqual({ part: 'agent', use: 'not read: no column is named' })
    const notes = problems.filter(({ problem }) => problem.includes('has no'))
    expect(notes).toHaveLength(1)
    expect(notes[0]?.fix).toBe(
      'if other columns hold this, name them in trackers.legacy.columns; not used yet: owner, notes',
    )
  })

  test('a word in another case or with a blank means nothing, and the check says what to set', async () => {
    const database = await make(`create table tickets (id integer primary key, status text, title text);
      insert into tickets values (1, 'Pending', 'A'), (2, 'Pending', 'B'), (3, 'done ', 'C'), (4, 'parked', 'D')`)
    const check = await database.track().check(signal())
    expect(check.mirroredCount).toBe(0)
    const notes = check.problems.map(({ problem, fix }) => `${problem} | ${fix}`)
    expect(notes).toContain(
      'no ticket says "pending", so none is open; these words mean nothing yet: "Pending", "done ", "parked" | set trackers.legacy.statuses.pending to the word of open tickets, and the others likewise',
    )
    expect(notes).toContain(
      '2 tickets say "Pending", which is not "pending" and so means nothing | if it means the same: set trackers.legacy.statuses.pending to ["pending", "Pending"]',
    )
    expect(notes).toContain(
      '1 ticket says "done ", which is not "done" and so means nothing | if it means the same: set trackers.legacy.statuses.done to ["done", "done "]',
    )
  })

  test('one problem of many tickets leaves room for the others', async () => {
    const database =
      await make(`create table tickets (id integer primary key, status text, title text, priority text);
      with recursive n(i) as (select 1 union all select i + 1 from n where i < 300)
        insert into tickets select i, 'pending', iif(i = 300, '', 'T'), 'high' from n`)
    const { problems } = await database.track().check(signal())
    expect(problems.filter(({ problem }) => problem.includes('"high"'))).toHaveLength(10)
    expect(problems).toContainEqual(
      expect.objectContaining({ externalId: '300', problem: 'its title is empty' }),
    )
  })

  test('words that are numbers, and words that only the column takes for the same', async () => {
    const database =
      await make(`create table tickets (id integer primary key, status, title text, claimed_by text);
      insert into tickets values (1, 0, 'number', null), (2, '0', 'text', null)`)
    const statuses = { pending: ['0'], running: ['1'], done: ['2'] }
    const tracker = database.track({ statuses })
    expect((await fetch(tracker)).tickets.map(({ word, status }) => [word, status])).toEqual([
      ['0', 'pending'],
      ['0', 'pending'],
    ])
    expect(await take(tracker, '1')).toEqual({ kind: 'taken', word: '1' })
    expect(await take(tracker, '2')).toEqual({ kind: 'taken', word: '1' })
    expect(database.rows('select typeof(status) as kind from tickets')).toEqual([
      { kind: 'integer' },
      { kind: 'text' },
    ])

    const lax =
      await make(`create table tickets (id integer primary key, status text collate nocase, title text);
      insert into tickets values (1, 'Pending', 'upper')`)
    expect((await fetch(lax.track())).tickets).toEqual([])
    expect(await take(lax.track(), '1')).toMatchObject({ kind: 'lost', word: 'Pending' })
    const check = await lax.track().check(signal())
    expect(check.counts).toEqual([{ word: 'Pending', status: null, count: 1 }])
  })

  test('words that cannot work are refused with the setting', async () => {
    const database = await make()
    await expect(fetch(database.track({ statuses: { pending: ['x'] } }))).rejects.toMatchObject({
      code: 'tracker_misfit',
      fix: 'set trackers.legacy.statuses.running',
    })
    await expect(
      fetch(database.track({ statuses: { pending: ['x'], running: ['x'] } })),
    ).rejects.toMatchObject({ code: 'tracker_misfit', message: expect.stringContaining('"x"') })
  })
})

describe('identifiers', () => {
  test('whole numbers of 64 bits are exact', async () => {
    const database = await make(`create table tickets (id integer primary key, status text, title text);
      insert into tickets values (9007199254740993, 'pending', 'a'), (9223372036854775807, 'pending', 'b'),
        (-5, 'pending', 'c')`)
    const tracker = database.track()
    const ids = ['-5', '9007199254740993', '9223372036854775807']
    expect((await fetch(tracker)).tickets.map(({ externalId }) => externalId)).toEqual(ids)
    for (const id of ids) expect(await take(tracker, id)).toMatchObject({ kind: 'taken' })
    expect(await take(tracker, '9223372036854775808')).toEqual({ kind: 'absent' })
    expect(await take(tracker, '9007199254740992')).toEqual({ kind: 'absent' })
    expect(await take(tracker, '-05')).toEqual({ kind: 'absent' })
    expect(database.rows(`select count(*) as n from tickets where status = 'in_progress'`)).toEqual([
      { n: 3 },
    ])
  })

  test('what is no identifier, or stands there twice, is a problem each, and the others are mirrored', async () => {
    const database = await make(`create table tickets (id, status text, title text);
      insert into tickets select column1, 'pending', 'T' from (values (null), (null), (x'0102'), (1.5), (''), (7), ('8'),
        (1), ('1'), ('twice'), ('twice'), (char(0)), ('a' || char(0) || 'b'), (cast(x'ff61' as text)));
      insert into tickets values (printf('%.*c', 201, 'x'), 'pending', 'T'), (printf('%.*c', 200, 'y'), 'pending', 'T'),
        (printf('%.*c', 2000000, 'z'), 'pending', 'T')`)
    const tracker = database.track()
    const { tickets, problems } = await fetch(tracker)
    expect(tickets.map(({ externalId }) => externalId)).toEqual(['7', '8', 'y'.repeat(200)])
    expect(problems.every(({ severity }) => severity === 'refused')).toBe(true)
    const texts = problems.map(({ problem }) => problem)
    expect(texts.filter((text) => text.includes('NULL as its identifier'))).toHaveLength(2)
    for (const part of ['a BLOB of 2 bytes', ' 1.5 as', '"" as', '"xxxxx', 'of 2000000 bytes']) {
      expect(
        texts.filter((text) => text.includes(part)),
        part,
      ).toHaveLength(1)
    }
    expect(
      problems
        .filter(({ problem }) => problem.startsWith('several rows'))
        .map(({ externalId }) => externalId),
    ).toEqual(['1', 'twice'])
    expect(texts.filter((text) => /NUL character|not UTF-8/.test(text)).length).toBeGreaterThanOrEqual(2)
    await expect(take(tracker, 'twice')).rejects.toMatchObject({
      code: 'tracker_refused',
      fix: expect.stringContaining('trackers.legacy.columns.id'),
    })
    await expect(take(tracker, '1')).rejects.toMatchObject({ code: 'tracker_refused' })
    const found = await tracker.fetchByIds(['1', '7', 'twice', 'nope'], signal())
    expect(found.tickets.map(({ externalId }) => externalId)).toEqual(['7'])
    expect(found.problems.map(({ externalId }) => externalId)).toEqual(['1', 'twice'])
  })

  test('a double that stands in another state, or beyond the end of a page, is found', async () => {
    const database = await make(`create table tickets (id text, status text, title text);
      with recursive n(i) as (select 1 union all select i + 1 from n where i < 501)
        insert into tickets select printf('t%04d', min(i, 500)), 'pending', 'T' from n;
      insert into tickets values ('t0003', 'done', 'T')`)
    const { tickets, problems, nextCursor } = await fetch(database.track())
    expect(tickets).toHaveLength(498)
    expect(problems.map(({ externalId }) => externalId)).toEqual(['t0003', 't0500'])
    expect((await fetch(database.track(), { cursor: nextCursor ?? '' })).tickets).toEqual([])
  })

  test('a column that takes cases for the same loses no ticket, and finds the one that is meant', async () => {
    const database = await make(`create table tickets (id text collate nocase, status text, title text);
      insert into tickets values ('a', 'pending', 'lower'), ('A', 'pending', 'upper'), ('B', 'pending', 'other')`)
    const tracker = database.track()
    expect((await fetch(tracker)).tickets.map(({ externalId }) => externalId)).toEqual(['A', 'B', 'a'])
    expect(await take(tracker, 'a')).toMatchObject({ kind: 'taken' })
    expect(database.rows(`select title from tickets where status = 'in_progress'`)).toEqual([
      { title: 'lower' },
    ])
  })

  test('tables without row numbers, with an index, and with a text that is its key', async () => {
    const database = await make(`create table tickets (project text, id text, status text, title text,
        primary key (project, id)) without rowid;
      create index by_status on tickets (status);
      insert into tickets values ('p', '1', 'pending', 'one'), ('q', '1', 'done', 'two'), ('q', '2', 'pending', 'three')`)
    const { tickets, problems } = await fetch(database.track())
    expect(tickets.map(({ title }) => title)).toEqual(['three'])
    expect(problems).toMatchObject([{ externalId: '1', problem: 'several rows have this identifier' }])
  })
})

describe('values', () => {
  const insert = 'insert into tickets (id, title, description, type, priority, labels) values'

  test('JSON in text, lists with commas, words for types and priorities', async () => {
    const database = await make(`${TICKETS_TABLE}; alter table tickets add column params text;
      insert into tickets (id, title, labels, priority, type, params) values
        ('a', 'T', '["x", "y z", 3]', 'P0', 'defect', '{"depth": {"n": [1, null, "ü"]}}'),
        ('b', 'T', ' x, y z ,,x', 2, 'other', ''),
        ('c', 'T', '[]', '4', null, null),
        ('d', 'T', null, 9, '', '[1]'),
        ('e', 'T', '[oops', 3.0, null, null),
        ('f', 'T', '', 'soon', 'toString', null),
        ('g', 'T', null, null, '${'long'.repeat(20)}', '{"a": "\\u0000"}'),
        ('h', 'T', '["${'l'.repeat(101)}", "ok", {"no": 1}]', null, null, '${'{"a":'.repeat(80)}1${'}'.repeat(80)}')`)
    const tracker = database.track({
      columns: { inputs: 'params' },
      types: { defect: 'bug' },
      priorities: { P0: 1 },
      labels: ['usual'],
    })
    const { tickets, problems } = await fetch(tracker)
    expect(
      tickets.map(({ externalId, labels, priority, type, inputs }) => [
        externalId,
        labels,
        priority,
        type,
        inputs,
      ]),
    ).toEqual([
      ['a', ['x', 'y z', '3'], 1, 'bug', { depth: { n: [1, null, 'ü'] } }],
      ['b', ['x', 'y z'], 2, 'other', {}],
      ['c', [], 4, '', {}],
      ['f', ['usual'], 3, 'toString', {}],
    ])
    expect(
      problems.map(({ externalId, severity, problem }) => [externalId, severity, problem.slice(0, 40)]),
    ).toEqual([
      ['d', 'refused', 'its inputs are "[1]", not an object of J'],
      ['e', 'refused', expect.stringContaining('its labels are "[oops"')],
      ['f', 'note', 'its priority is "soon", taken as 3'],
      ['g', 'refused', expect.stringContaining('its inputs hold a NUL')],
      ['h', 'refused', expect.stringContaining('its inputs hold a NUL')],
    ])
    expect(problems.find(({ externalId }) => externalId === 'f')?.fix).toBe(
      'map it in trackers.legacy.priorities',
    )
  })

  test('titles and bodies: empty, long, with NUL, as BLOB, not UTF-8; never cut without a word', async () => {
    const database = await make(`${TICKETS_TABLE};
      ${insert} ('a', '${'t'.repeat(501)}', '', null, null, null),
        ('b', ' ', 'x', null, null, null),
        ('c', 'T', printf('%.*c', 1048577, 'x'), null, null, null),
        ('d', 'T', printf('%.*c', 1048576, 'x'), null, null, null),
        ('e', 'T' || char(0), 'x', null, null, null),
        ('f', 'T', x'01', null, null, null),
        ('g', 'T', cast(x'61ff62' as text), null, null, null),
        ('h', 42, 4.5, null, null, null),
        ('i', printf('%.*c', 70000, 'x'), null, null, null, null),
        ('j', 'two
lines', 'tab	and ' || char(27) || '[2J', null, null, null),
        ('k', 'T', zeroblob(30000000), null, null, null)`)
    const { tickets, problems } = await fetch(database.track())
    expect(tickets.map(({ externalId, title, body }) => [externalId, title.length, body.length])).toEqual([
      ['a', 500, 0],
      ['d', 1, 1_048_576],
      ['g', 1, 3],
      ['h', 2, 3],
      ['j', 9, 12],
    ])
    expect(problems.map(({ externalId, severity, problem }) => [externalId, severity, problem])).toEqual([
      ['a', 'note', 'its title of 501 characters was cut to 500'],
      ['b', 'refused', 'its title is empty'],
      ['c', 'refused', 'its body has 1048577 characters; 1048576 are possible'],
      ['e', 'refused', 'its title holds a NUL character'],
      ['f', 'refused', 'its body is a BLOB, not a text'],
      ['g', 'note', expect.stringContaining('not UTF-8')],
      ['i', 'refused', 'its title has 70000 bytes, too many'],
      ['k', 'refused', 'its body has 30000000 bytes, too many'],
    ])
  })

  test('large bodies make pages shorter, and none is lost', async () => {
    const database = await make(`${TICKETS_TABLE};
      with recursive n(i) as (select 1 union all select i + 1 from n where i < 60)
        insert into tickets (id, title, description) select printf('t%03d', i), 'T', printf('%.*c', 1000000, 'x') from n`)
    const tracker = database.track()
    const seen: string[] = []
    let pageCount = 0
    for (let cursor: string | null | undefined; cursor !== null; pageCount++) {
      const page = await fetch(tracker, cursor === undefined ? {} : { cursor })
      seen.push(...page.tickets.map(({ externalId }) => externalId))
      cursor = page.nextCursor
    }
    expect(pageCount).toBeGreaterThan(2)
    expect(new Set(seen).size).toBe(60)
    expect(seen).toHaveLength(60)
  })

  test('generated columns are read; where one would have to be written it is refused by name', async () => {
    const database =
      await make(`create table tickets (id integer primary key, status text, first text, second text,
        title text generated always as (first || ' ' || second), result text as (upper(status)));
      insert into tickets (id, status, first, second) values (1, 'pending', 'to', 'do')`)
    const tracker = database.track()
    expect((await fetch(tracker)).tickets).toMatchObject([{ title: 'to do' }])
    await take(tracker, '1')
    expect(await finish(tracker, '1', { lastWord: 'in_progress' })).toMatchObject({ kind: 'written' })
    await expect(fetch(database.track({ columns: { error: 'result' } }))).rejects.toMatchObject({
      message: expect.stringContaining(
        'column "result" of table "tickets" is generated and cannot be written',
      ),
      fix: 'set trackers.legacy.columns.error to a column that can be written, or to null',
    })
  })
})

describe('instants', () => {
  const SECONDS = Math.floor(AT / 1_000)
  const CREATED = Date.UTC(2026, 0, 2, 3, 4, 5)

  test.each([
    ['ISO 8601 with milliseconds', "'2026-01-02T03:04:05.000Z'", '2026-05-06T07:08:09.123Z'],
    ['ISO 8601 with an offset', "'2026-01-02T03:04:05+00:00'", '2026-05-06T07:08:09+00:00'],
    ['ISO 8601 with microseconds and no zone', "'2026-01-02T03:04:05.000000'", '2026-05-06T07:08:09.123000'],
    ['as SQLite writes it', "'2026-01-02 03:04:05'", '2026-05-06 07:08:09'],
    ['seconds as a number', '1767323045', SECONDS],
    ['seconds with a fraction', '1767323045.0', AT / 1_000],
    ['seconds as text', "'1767323045'", String(SECONDS)],
    ['milliseconds as a number', '1767323045000', AT],
    ['milliseconds as text', "'1767323045000'", String(AT)],
  ])('%s is read, and written the same way', async (_name, spelled, expected) => {
    // Without affinity, so that each row keeps the form it was written in.
    const database =
      await make(`create table tickets (id integer primary key, status text, title text, created_at, updated_at);
      insert into tickets values (1, 'pending', 'own', ${spelled}, ${spelled}), (2, 'pending', 'others', ${spelled}, null)`)
    const tracker = database.track()
    expect((await fetch(tracker)).tickets.map(({ createdAt }) => createdAt)).toEqual([CREATED, CREATED])
    for (const id of ['1', '2']) {
      await take(tracker, id)
      await finish(tracker, id, { lastWord: 'in_progress' })
    }
    expect(database.rows('select updated_at from tickets')).toEqual([
      { updated_at: expected },
      { updated_at: expected },
    ])
  })

  test('a spelling that is none is a note; without any to follow the column is left as it is', async () => {
    const database =
      await make(`create table tickets (id integer primary key, status text, title text, created_at, updated_at);
      insert into tickets values (1, 'pending', 'T', 2460677.5, null), (2, 'pending', 'T', 'yesterday', null),
        (3, 'pending', 'T', null, null), (4, 'pending', 'T', 1767323045000000, null)`)
    const tracker = database.track()
    const { tickets, problems } = await fetch(tracker)
    expect(tickets.map(({ createdAt }) => createdAt)).toEqual([null, null, null, null])
    expect(problems.map(({ externalId, severity }) => [externalId, severity])).toEqual([
      ['1', 'note'],
      ['2', 'note'],
      ['4', 'note'],
    ])
    await take(tracker, '1')
    expect(database.rows('select updated_at from tickets where id = 1')).toEqual([{ updated_at: null }])
  })
})
