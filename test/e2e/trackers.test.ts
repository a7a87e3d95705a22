/** A tickets database that another program owns and goes on writing to, with the whole daemon beside it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { SwarmClient } from '../../src/client/client.ts'
import { type DaemonProcess, startDaemonProcess } from '../support/daemon-process.ts'
import { TICKETS_TABLE } from '../support/foreign-database.ts'
import { createTestRepository } from '../support/test-repository.ts'
import { makeTestDirectory, startTestSwarm, type TestSwarm, writeTestConfig } from '../support/test-swarm.ts'
import { registerSteps, type Ticket, writeAgentPackage } from '../support/ticket-scene.ts'
import { waitFor } from '../support/wait-for.ts'

/** Writes 50 rows a second, and takes one in five for itself: reads, waits for a moment, compares and sets. */
const FOREIGN_PROGRAM = `
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
const [path, count] = process.argv.slice(1)
const database = new DatabaseSync(path, { timeout: 20_000 })
const insert = database.prepare("insert into tickets (id, title, status) values (?, ?, 'pending')")
const find = database.prepare("select id from tickets where status = 'pending' order by random() limit 1")
const take = database.prepare(
  "update tickets set status = 'in_progress', claimed_by = 'their worker' where id = ? and status = 'pending'",
)
for (let number = 0; number < Number(count); number++) {
  insert.run('t' + String(number).padStart(6, '0'), 'Ticket ' + number)
  const id = number % 5 === 0 ? find.get()?.id : undefined
  await delay(20)
  if (id !== undefined && take.run(id).changes === 1) console.log('took ' + id)
}
`

type Row = Record<string, unknown>

function query(path: string, sql: string, ...values: string[]): Row[] {
  const database = new DatabaseSync(path, { timeout: 10_000 })
  try {
    return database
      .prepare(sql)
      .all(...values)
      .map((row) => ({ ...row }))
  } finally {
    database.close()
  }
}

/** All that its owner has made of it but for the rows. */
function readSchema(path: string): readonly Row[] {
  const pragmas = ['user_version', 'application_id', 'journal_mode', 'page_size'].map(
    (name) => `pragma ${name}`,
  )
  return [
    ...query(path, 'select type, name, tbl_name, sql from sqlite_master order by name'),
    ...pragmas.flatMap((pragma) => query(path, pragma)),
  ]
}

async function listTickets(client: SwarmClient): Promise<readonly Ticket[]> {
  const tickets: Ticket[] = []
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await client.tickets.list({ limit: 100, ...(cursor === undefined ? {} : { cursor }) })
    tickets.push(...page.items)
    cursor = page.nextCursor
  }
  return tickets
}

describe('beside a process that writes 50 rows a second and takes tickets itself', () => {
  const ROW_COUNT = 120
  let directory: string
  let path: string
  let daemon: DaemonProcess | undefined
  let foreign: ReturnType<typeof spawn> | undefined

  beforeAll(async () => {
    directory = await makeTestDirectory()
    path = join(directory, 'swarm.db')
    const database = new DatabaseSync(path)
    database.exec(`pragma journal_mode = wal; ${TICKETS_TABLE}`)
    database.close()
    await writeTestConfig(
      directory,
      `slots: 4
poll: { interval: 200ms }
trackers:
  platform: { kind: sqlite-table, file: swarm.db, project: OLD, workflow: one, poll: 200ms }
`,
    )
  })
  afterAll(async () => {
    foreign?.kill('SIGKILL')
    await daemon?.kill()
    await rm(directory, { recursive: true, force: true })
  })

  test('U2, U5: each ticket gets one worker, whoever is killed, and nothing stays in progress', async () => {
    const schema = readSchema(path)
    daemon = await startDaemonProcess(directory)
    await daemon.client.projects.create({ key: 'OLD', name: 'Old' })
    await registerSteps(daemon.client, 'one', [{ id: 'work', kind: 'run', command: ['echo', 'done'] }])
    const child = spawn(
      process.execPath,
      ['--input-type=module', '-e', FOREIGN_PROGRAM, path, String(ROW_COUNT)],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    foreign = child
    let said = ''
    child.stdout.on('data', (data) => (said += data))
    const ended = once(child, 'close')

    const countOurs = () => query(path, `select id from tickets where claimed_by like 'swarm:%'`).length
    for (const count of [5, 20]) {
      await waitFor(`${count} tickets of ours`, async () => (countOurs() >= count ? true : undefined), 60_000)
      await daemon.kill()
      daemon = await startDaemonProcess(directory)
    }
    const { client } = daemon
    await waitFor(
      'the end of every ticket',
      async () => {
        const open = query(
          path,
          `select id from tickets where status = 'pending' or (status = 'in_progress' and claimed_by like 'swarm:%')`,
        )
        const count = query(path, 'select count(*) as n from tickets')[0]?.n
        return open.length === 0 && count === ROW_COUNT ? true : undefined
      },
      90_000,
    )
    expect(await ended).toEqual([0, null])

    const theirs = [...said.matchAll(/^took (.*)$/gm)].map(([, id]) => id)
    const rows = query(path, 'select * from tickets')
    const ours = rows.filter(({ claimed_by: by }) => String(by).startsWith('swarm:'))
    expect(rows).toHaveLength(ROW_COUNT)
    expect(ours.length).toBeGreaterThan(20)
    expect(theirs.length).toBeGreaterThan(2)
    expect(theirs.length + ours.length).toBe(ROW_COUNT)
    for (const row of rows) {
      const isTheirs = theirs.includes(String(row.id))
      expect(row).toMatchObject(
        isTheirs
          ? { status: 'in_progress', claimed_by: 'their worker', result: null }
          : { status: 'done', claimed_by: expect.stringMatching(/^swarm:tkt_/), error: null },
      )
    }
    const tickets = await listTickets(client)
    expect(new Set(tickets.map(({ externalId }) => externalId)).size).toBe(tickets.length)
    for (const { externalId, status, runCount, id } of tickets) {
      const row = rows.find((each) => each.id === externalId)
      if (status === 'done')
        expect({ by: row?.claimed_by, runCount }).toEqual({ by: `swarm:${id}`, runCount: 1 })
      else expect({ status, by: row?.claimed_by }).toEqual({ status: 'canceled', by: 'their worker' })
    }
    expect(tickets.filter(({ status }) => status === 'done')).toHaveLength(ours.length)
    expect(readSchema(path)).toEqual(schema)
    expect((await client.health.get()).figures.deadEffectCount).toBe(0)
  }, 180_000)
})

/** A file for each ticket; one more that the checks refuse when the title asks for it. */
const MAKER = `
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
const [, , inputPath, outputPath] = process.argv
const { ticket } = JSON.parse(readFileSync(inputPath, 'utf8'))
if (ticket.title.includes('slow')) await new Promise((resolve) => setTimeout(resolve, 600_000))
writeFileSync('/workspace/' + ticket.key + '.txt', ticket.title)
if (ticket.title.includes('bad')) writeFileSync('/workspace/bad.txt', '')
else rmSync('/workspace/bad.txt', { force: true })
writeFileSync(outputPath, '{}')
`

describe('with other names, states and types, and code that changes', () => {
  let swarm: TestSwarm
  let path: string
  let schema: readonly Row[]

  beforeAll(async () => {
    const directory = await makeTestDirectory()
    path = join(directory, 'platform.db')
    const database = new DatabaseSync(path)
    database.exec(`
      create table people (name text primary key);
      create table issues (
        num integer primary key, subject text not null, notes text, kind text, urgency text,
        state text not null default 'open' check (state in ('open', 'doing', 'checking', 'closed', 'broken', 'dropped')),
        worker text, outcome text, problem text, git_branch text, pull text, changed integer
      );
      create index issues_by_state on issues (state);
      create trigger no_reopen before update of state on issues when old.state = 'closed' begin
        select raise(abort, 'a closed issue stays closed');
      end;
    `)
    database.close()
    schema = readSchema(path)
    swarm = await startTestSwarm({
      directory,
      config: `slots: 2
poll: { interval: 200ms }
retry: { runs: 1 }
trackers:
  platform:
    kind: sqlite-table
    file: platform.db
    project: WEB
    table: issues
    columns:
      id: num
      title: subject
      body: notes
      type: kind
      priority: urgency
      status: state
      claimed-by: worker
      result: outcome
      error: problem
      branch: git_branch
      pull-request: pull
      updated-at: changed
    statuses: { pending: open, running: doing, review: checking, done: closed, failed: broken, canceled: dropped }
    types: { defect: bug }
    priorities: { high: 1, low: 5 }
    workflow: code-change
    agent: maker
    labels: [platform]
    poll: 200ms
`,
    })
    const repository = await createTestRepository(directory, {
      'README.md': '# Web\n',
      '.swarm/project.yaml': 'checks: [[test, "!", -e, bad.txt]]\n',
    })
    const agent = { name: 'maker', runtime: 'node', entry: 'main.mjs', workspace: true }
    const types = { inputs: { type: 'object' }, outputs: { type: 'object' } }
    const package_ = await writeAgentPackage(directory, { ...agent, ...types }, { 'main.mjs': MAKER })
    await swarm.client.agents.register({ path: package_ })
    await swarm.client.projects.create({
      key: 'WEB',
      name: 'Web',
      repositoryUrl: repository.path,
      forge: 'local',
    })
  })
  afterEach(() => expect(readSchema(path)).toEqual(schema))
  afterAll(async () => await swarm[Symbol.asyncDispose]())

  const insert = (subject: string): string => {
    const sql = `insert into issues (subject, notes, kind, urgency) values (?, 'the body', 'defect', 'high') returning num`
    return String(query(path, sql, subject)[0]?.num)
  }
  const read = (num: string): Row => query(path, 'select * from issues where num = ?', num)[0] ?? {}
  const waitForState = async (num: string, state: string): Promise<Row> =>
    await waitFor(`${num} ${state}`, async () => (read(num).state === state ? read(num) : undefined), 60_000)
  const findTicket = async (num: string): Promise<Ticket> =>
    await waitFor(`${num} mirrored`, async () =>
      (await listTickets(swarm.client)).find(({ externalId }) => externalId === num),
    )

  test('result, branch and pull request are written back, in review and when it is merged', async () => {
    const num = insert('make it')
    const inReview = await waitForState(num, 'checking')
    const ticket = await findTicket(num)
    expect(ticket).toMatchObject({
      status: 'review',
      title: 'make it',
      body: 'the body',
      type: 'bug',
      priority: 1,
      labels: ['platform'],
      tracker: 'platform',
    })
    expect(inReview).toMatchObject({
      worker: `swarm:${ticket.id}`,
      git_branch: ticket.branch,
      pull: '1',
      problem: null,
    })
    const [pullRequest] = (await swarm.client.pullRequests.list({ ticket: ticket.key })).items
    await swarm.client.pullRequests.merge(pullRequest?.id ?? '')
    const closed = await waitForState(num, 'closed')
    expect(JSON.parse(String(closed.outcome))).toMatchObject({ 'pull-request': { number: 1 } })
    expect((await findTicket(num)).status).toBe('done')
  })

  test('a failure is written back with its reason in one line', async () => {
    const num = insert('bad work')
    const broken = await waitForState(num, 'broken')
    expect(broken.problem).toMatch(/^verification_failed: .+/)
    expect(String(broken.problem)).not.toContain('\n')
    expect((await findTicket(num)).status).toBe('failed')
  })

  test('canceled here: dropped there', async () => {
    const num = insert('slow work to cancel')
    await waitForState(num, 'doing')
    const { key } = await findTicket(num)
    await swarm.client.tickets.cancel(key, { detail: 'not needed' })
    expect((await waitForState(num, 'dropped')).problem).toBe('canceled_by_person: not needed')
  })

  test('dropped there: canceled here, its sandbox gone, and nothing is written over it', async () => {
    const num = insert('slow work that they drop')
    await waitForState(num, 'doing')
    const { currentRunId } = await findTicket(num)
    await waitFor('its sandbox', async () =>
      (await swarm.client.runs.get(currentRunId ?? '')).sandboxes.find(({ status }) => status === 'ready'),
    )
    query(path, `update issues set state = 'dropped', worker = 'bob' where num = ?`, num)
    const ticket = await waitFor('the end of the ticket', async () => {
      const seen = await findTicket(num)
      return seen.status === 'canceled' ? seen : undefined
    })
    expect(ticket.detail).toContain('canceled there')
    const run = await swarm.client.runs.get(ticket.currentRunId ?? '')
    expect(run.sandboxes.map(({ status }) => status)).toEqual(['gone'])
    await waitFor('the outbox to be empty', async () => {
      const { figures } = await swarm.client.health.get()
      return figures.pendingEffectCount === 0 ? true : undefined
    })
    expect(read(num)).toMatchObject({ state: 'dropped', worker: 'bob', problem: null })
  })

  test('put back there after a failure: worked on once more', async () => {
    const num = insert('bad work at first')
    await waitForState(num, 'broken')
    query(
      path,
      `update issues set state = 'open', worker = null, subject = 'good work now' where num = ?`,
      num,
    )
    const row = await waitForState(num, 'checking')
    expect(row).toMatchObject({ problem: null })
    expect((await findTicket(num)).title).toBe('good work now')
  })

  test('closed there while it is worked on: left as it stands, and the other tickets go on', async () => {
    const num = insert('slow work that they close')
    await waitForState(num, 'doing')
    query(path, `update issues set state = 'closed', worker = 'bob' where num = ?`, num)
    const { key } = await findTicket(num)
    await swarm.client.tickets.cancel(key)
    const other = insert('more work')
    await waitForState(other, 'checking')
    expect(read(num)).toMatchObject({ state: 'closed', worker: 'bob' })
    expect((await swarm.client.trackers.list()).items).toMatchObject([{ name: 'platform', isOk: true }])
  })
})
