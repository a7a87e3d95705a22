/** The guide to an existing tickets database, as a reader would follow it, and the exit codes of `tracker check`. */
import { execFile } from 'node:child_process'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { writeFiles } from '../support/foreign-registry.ts'
import { waitFor } from '../support/wait-for.ts'
import { makeDirectory, PROGRAM, runCli } from './cli-process.ts'

const SCHEMA = `
  create table issues (
    id integer primary key, subject text, notes text, kind text, urgency text, state text not null, worker text,
    outcome text, error text
  );
  insert into issues (subject, notes, kind, urgency, state) values
    ('The login fails', 'since Monday', 'defect', 'high', 'open'),
    ('', '', 'defect', 'low', 'ready'),
    ('Was done by hand', '', 'task', 'low', 'closed'),
    ('Nobody knows', '', 'task', 'low', 'parked')`

async function makeHome(): Promise<{ home: string; guide: string; config: string; database: string }> {
  const home = await makeDirectory()
  const database = join(home, 'platform.db')
  edit(database, (db) => db.exec(SCHEMA))
  const guide = await readFile(
    new URL('../../docs/guides/existing-tickets-database.md', import.meta.url),
    'utf8',
  )
  const [, trackers = ''] = /^```yaml\n(.*?)^```$/ms.exec(guide) ?? []
  const config = join(home, 'config.yaml')
  const common = `state-dir: ${home}/state\nlisten: { port: null }\nsandbox: { driver: none }\n`
  await writeFile(config, `${common}${trackers}`)
  return { home, guide, config, database }
}

function edit<T>(path: string, work: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(path, { timeout: 10_000 })
  try {
    return work(db)
  } finally {
    db.close()
  }
}

test('the commands of the guide to an existing tickets database work as they stand', async () => {
  const { home, guide, config, database } = await makeHome()
  await writeFiles(join(home, 'bin'), {
    swarm: `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`,
  })
  await chmod(join(home, 'bin/swarm'), 0o755)
  const env = { HOME: home, SWARM_CONFIG: config, PATH: `${join(home, 'bin')}:${process.env.PATH}` }
  onTestFinished(async () => void (await runCli(['down', '--now'], { env })))
  const blocks = [...guide.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1])
  expect(blocks).toHaveLength(3)
  const { stdout } = await promisify(execFile)(
    'bash',
    ['--norc', '-euo', 'pipefail', '-c', blocks.join('\n')],
    { cwd: home, env, timeout: 100_000 },
  )
  expect(stdout).toContain('legacy: usable')
  expect(stdout).toContain('The login fails')
  expect(stdout).toMatch(/parked +nothing: not mapped/)
  expect(stdout).toContain('its title is empty')
  expect(stdout).toContain('tracker-legacy-is-mirrored')

  const row = await waitFor('the row to be closed', async () => {
    const found = edit(database, (db) => db.prepare('select * from issues where id = 1').get())
    return found?.state === 'closed' ? found : undefined
  })
  expect(row).toMatchObject({ worker: expect.stringMatching(/^swarm:tkt_/), error: null })
  expect(JSON.parse(String(row.outcome))).toMatchObject({ message: 'hello' })
  const shown = await runCli(['ticket', 'show', 'WEB-1'], { env })
  expect(shown.stdout).toMatch(/tracker: +legacy, 1 there/)
  const list = await runCli(['tracker', 'list', '--json'], { env })
  expect(JSON.parse(list.stdout)).toMatchObject({
    items: [{ name: 'legacy', project: 'WEB', isOk: true, noteCount: 1, untold: [] }],
  })
  expect((await runCli(['tracker', 'list', '--quiet'], { env })).stdout).toBe('legacy\n')
}, 120_000)

test('`swarm tracker check` needs no daemon, writes nothing, and its exit code says whether it can be used', async () => {
  const { config, database } = await makeHome()
  const before = await readFile(database)
  const check = async (...args: string[]) => await runCli(['tracker', 'check', ...args, '--config', config])

  const usable = await check('legacy', '--json')
  expect(usable.code).toBe(0)
  expect(JSON.parse(usable.stdout)).toMatchObject({
    name: 'legacy',
    isUsable: true,
    mirroredCount: 1,
    sample: [{ externalId: '1', title: 'The login fails', type: 'bug', priority: 1 }],
    counts: expect.arrayContaining([{ word: 'parked', status: null, count: 1 }]),
  })
  expect((await check('legacy', '--quiet')).stdout).toBe('1\n')
  expect(await readFile(database)).toEqual(before)

  const shown = (await check('legacy')).stdout
  expect(shown).toContain('FAIL  ticket 2: its title is empty')
  expect(shown).not.toContain('names a workflow')
  const unrouted = (await readFile(config, 'utf8')).replace(/^ +workflow: .*\n/m, '')
  await writeFile(`${config}.unrouted`, unrouted)
  const { stdout } = await runCli(['tracker', 'check', 'legacy', '--config', `${config}.unrouted`])
  expect(stdout).toContain(
    'fix: set trackers.legacy.workflow, add a rule, or: swarm project edit WEB --workflow',
  )

  const unknown = await check('nope')
  expect(unknown).toMatchObject({ code: 3, stdout: '' })
  expect(unknown.stderr).toContain('configured: legacy')

  const text = await readFile(config, 'utf8')
  await writeFile(config, text.replace('title: subject', 'title: caption'))
  const misfit = await check('legacy')
  expect(misfit.code).toBe(1)
  expect(misfit.stdout).toContain('legacy: not usable')
  expect(misfit.stdout).toContain('caption')
  expect(misfit.stdout).toContain('trackers.legacy.columns.title')

  await writeFile(config, text.replace('status: state', 'sate: state'))
  const mistyped = await check('legacy')
  expect(mistyped.code).toBe(2)
  expect(mistyped.stderr).toContain('unknown key "sate" in trackers.legacy.columns')
})

test('the check shows a long title in part, and a word with a blank in quotes', async () => {
  const { config, database } = await makeHome()
  edit(database, (db) => {
    db.prepare("insert into issues (subject, state) values (?, 'open'), ('x', 'open ')").run('t'.repeat(400))
  })
  const { stdout } = await runCli(['tracker', 'check', 'legacy', '--config', config])
  expect(stdout).toMatch(/ t{71}…$/m)
  expect(stdout).toMatch(/^"open " +nothing: not mapped +1$/m)
})

test('what a foreign table holds reaches the terminal as harmless text', async () => {
  const { config, database } = await makeHome()
  edit(database, (db) => {
    db.exec('drop table issues; create table issues (id text, subject text, state text)')
    db.prepare('insert into issues values (?, ?, ?)').run('a\u001b[31m\nb', 't\u001b[2J', 'open')
    db.prepare('insert into issues values (?, ?, ?)').run('c', 't', 'w\u001b[31m')
  })
  await writeFile(
    config,
    (await readFile(config, 'utf8')).replace(/^ +(body|type|claimed-by|priority|result):.*\n/gm, ''),
  )
  for (const args of [[], ['--quiet'], ['--json']]) {
    const { code, stdout } = await runCli(['tracker', 'check', 'legacy', '--config', config, ...args])
    expect(code).toBe(0)
    expect(stdout).not.toContain('\u001b')
    expect(stdout).toContain('b')
  }
})

test('`swarm doctor` looks at each tracker', async () => {
  const { config, home } = await makeHome()
  const doctor = async () => await runCli(['doctor', '--json', '--config', config])
  const find = ({ stdout }: { stdout: string }) =>
    (JSON.parse(stdout) as { checks: { name: string; state: string; fix: string }[] }).checks.find(
      ({ name }) => name === 'tracker legacy',
    )
  expect(find(await doctor())).toMatchObject({ state: 'warn', fix: 'swarm tracker check legacy' })
  await writeFile(config, (await readFile(config, 'utf8')).replace('platform.db', 'elsewhere.db'))
  const missing = await doctor()
  expect(missing.code).toBe(1)
  expect(find(missing)).toMatchObject({
    state: 'fail',
    detail: `${home}/elsewhere.db does not exist`,
  })
})
