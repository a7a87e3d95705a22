/** Backups of a whole daemon at work, restored in earnest; damaged and hostile ones refused. */
import { chmod, cp, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load-config.ts'
import { createBackup } from '../../src/coordinator/backup/create-backup.ts'
import { formatManifest, type Manifest } from '../../src/coordinator/backup/manifest.ts'
import { restoreState } from '../../src/main.ts'
import { git, makeRemote } from '../support/git-repository.ts'
import { makeTestDirectory, startTestSwarm, type TestSwarm } from '../support/test-swarm.ts'
import {
  endTicket,
  getLastRun,
  registerSteps,
  waitForEnd,
  writeAgentPackage,
} from '../support/ticket-scene.ts'
import { waitFor } from '../support/wait-for.ts'
import { runCli } from './cli-process.ts'

const CONFIG = 'slots: 2\nsandbox: { driver: bubblewrap, warm: 0 }\n'

let swarm: TestSwarm
let backup: string

beforeAll(async () => {
  swarm = await startTestSwarm({ config: CONFIG })
  const { client, directory } = swarm
  const remote = await makeRemote(join(directory, 'web.git'))
  await client.projects.create({ key: 'WEB', name: 'web', repositoryUrl: remote.path, forge: 'local' })
  const mine = await writeAgentPackage(
    directory,
    { name: 'mine', runtime: 'sh', entry: 'run.sh', inputs: { type: 'object' }, outputs: { type: 'object' } },
    { 'run.sh': '#!/bin/sh\n' },
  )
  await chmod(join(mine, 'run.sh'), 0o755)
  await client.agents.register({ path: mine })
  const work = { id: 'work', kind: 'run', command: ['sh', '-c', 'date +%N > new.txt; echo worked'] }
  await registerSteps(client, 'brief', [work])
  await registerSteps(client, 'change', [
    work,
    // It outlives a backup on a machine that has a lot to do.
    { id: 'slow', kind: 'run', needs: ['work'], command: ['sh', '-c', 'sleep 15; cp new.txt copy.txt'] },
  ])
})
afterAll(async () => await swarm[Symbol.asyncDispose]())

test('P13: a backup in mid-work, restored elsewhere, has every acknowledged ticket, event and unpushed commit, and goes on', async () => {
  const { client, directory } = swarm
  const file = () => client.tickets.create({ project: 'WEB', title: 'x', workflow: 'change' })
  const { ticket: done } = await endTicket(
    client,
    { project: 'WEB', title: 'done', workflow: 'brief' },
    60_000,
  )
  const keys: string[] = [done.key]
  const filed = await Promise.all(Array.from({ length: 4 }, file))
  keys.push(...filed.map(({ key }) => key))
  // One has brought work home that was never pushed, and is in its second step.
  const working = await waitFor('a run in its second step', async () => {
    for (const { key } of filed) {
      if ((await client.tickets.get(key)).status !== 'running') continue
      const run = await getLastRun(client, key)
      const [work, slow] = run.steps
      // One that is still being launched would be launched again as the same attempt.
      if (work?.status === 'succeeded' && slow?.attempts[0]?.phase === 'awaiting') return run
    }
    return undefined
  })
  const commit = working.steps[0]?.attempts[0]?.resultCommit ?? ''
  expect(commit).toMatch(/^[0-9a-f]{40}$/)
  let isLoading = true
  const load = (async () => {
    while (isLoading) keys.push((await file()).key)
  })()
  const acknowledged = [...keys]
  const { lastEventSeq } = (await client.health.get()).figures
  backup = join(directory, 'backup')
  const made = await runCli(['--state-dir', join(directory, 'state'), 'backup', backup, '--json'], {})
  isLoading = false
  await load
  expect(made.code, made.stderr).toBe(0)
  expect(JSON.parse(made.stdout)).toMatchObject({ path: backup, mirrorCount: 1 })
  expect(JSON.parse(made.stdout).lastEventSeq).toBeGreaterThanOrEqual(lastEventSeq)
  for (const entry of await readdir(backup, { recursive: true, withFileTypes: true })) {
    const { mode } = await stat(join(entry.parentPath, entry.name))
    expect(mode & 0o777, entry.name).toBe(entry.isDirectory() ? 0o700 : 0o600)
  }
  const kept = await client.events.list({ limit: 1000 })
  await swarm.stop('now')

  const elsewhere = await makeTestDirectory()
  const state = join(elsewhere, 'state')
  const restored = await runCli(['--state-dir', state, 'restore', backup], {})
  expect(restored.stderr).toContain(`start it with: swarm up --detach --state-dir ${state}\n`)
  expect(restored.code, restored.stderr).toBe(0)
  expect(restored.stdout).toContain(`${state} is as it was at`)
  const mirror = join(
    state,
    'mirrors',
    (await readdir(join(state, 'mirrors'))).find((name) => name.endsWith('.git')) ?? '',
  )
  expect(await git(mirror, 'for-each-ref', '--format=%(objectname)', `refs/swarm/${working.id}`)).toContain(
    commit,
  )
  expect(await git(mirror, 'cat-file', '-t', commit)).toBe('commit')
  await git(mirror, 'fsck', '--strict')

  // Its packages lie in the new place, as nobody changes them.
  const package_ = join(state, 'registry', 'agents', 'mine', '1.0.0')
  expect((await stat(join(package_, 'run.sh'))).mode & 0o777).toBe(0o555)
  const db = new DatabaseSync(join(state, 'swarm.db'))
  expect(db.prepare("select path from agents where name = 'mine'").get()).toEqual({ path: package_ })
  db.close()
  expect(await readdir(join(state, 'registry', 'agents', 'coder'))).toEqual(
    await readdir(join(directory, 'state', 'registry', 'agents', 'coder')),
  )

  await using second = await startTestSwarm({ directory: elsewhere, config: CONFIG })
  for (const key of acknowledged) expect((await second.client.tickets.get(key)).key).toBe(key)
  expect((await second.client.tickets.get(done.key)).status).toBe('done')
  const events = await second.client.events.list({ limit: 1000 })
  const before = kept.items.filter(({ seq }) => seq <= lastEventSeq)
  expect(before.length).toBeGreaterThan(20)
  expect(events.items.slice(0, before.length)).toEqual(before)
  // The step that ran meanwhile is tried again on the work that was brought home; what was completed is not.
  const { ticket, run } = await waitForEnd(second.client, working.ticketKey, 90_000)
  expect(ticket.status).toBe('done')
  expect(run.steps.map(({ attempts }) => attempts.length)).toEqual([1, 2])
  expect(run.steps[0]?.attempts[0]?.resultCommit).toBe(commit)
  const log = await second.client.runs.readLog({ runId: run.id, stepKey: 'work', attempt: 1 })
  expect(await new Response(log).text()).toContain('worked')
}, 180_000)

test('a target that exists, that has no parent, or lies in the state directory is refused', async () => {
  const { directory } = swarm
  const state = join(directory, 'state')
  await mkdir(join(directory, 'there'))
  const cases: readonly [string, RegExp, number][] = [
    [join(directory, 'there'), /it exists/, 5],
    [join(directory, 'no', 'where'), /does not exist/, 2],
    [join(state, 'logs', 'b'), /may hold backups/, 2],
  ]
  for (const [path, words, code] of cases) {
    const { stderr, code: given } = await runCli(['--state-dir', state, 'backup', path], {})
    expect(stderr).toMatch(words)
    expect(given).toBe(code)
  }
  expect((await readdir(directory)).filter((name) => name.endsWith('.partial'))).toEqual([])
})

test('without a daemon a backup is made too, and one that runs is never copied beside its back', async () => {
  const { directory } = swarm
  const target = join(directory, 'stopped')
  const { code, stderr, stdout } = await runCli(
    ['--state-dir', join(directory, 'state'), 'backup', target, '--no-logs'],
    {},
  )
  expect(code, stderr).toBe(0)
  expect(stdout).toContain('mirrors, events up to')
  expect(await readdir(target)).not.toContain('logs')
  const empty = await makeTestDirectory()
  const nothing = await runCli(['--state-dir', join(empty, 'state'), 'backup', join(empty, 'b')], {})
  expect(nothing.stderr).toContain('there is nothing to back up')
  expect(nothing.code).toBe(3)
  await rm(empty, { recursive: true })
})

test('a backup that is given up leaves nothing, and one that is cut off is in the way of the next', async () => {
  const place = await makeTestDirectory()
  const hungUp = new AbortController()
  const input = {
    target: join(place, 'b'),
    hasLogs: true,
    stateDir: join(place, 'state'),
    async copyStore(path: string) {
      await writeFile(path, 'store')
      return { version: 1, lastEventSeq: 1 }
    },
    mirrors: {
      async list() {
        hungUp.abort()
        return []
      },
      bundle: async () => false,
      restore: async () => {},
    },
    swarmVersion: '0',
    now: 0,
  }
  await expect(createBackup({ ...input, signal: hungUp.signal })).rejects.toThrow('aborted')
  expect(await readdir(place)).toEqual(['state'])
  await mkdir(join(place, 'b.partial'))
  const { signal } = new AbortController()
  await expect(createBackup({ ...input, signal })).rejects.toThrow(/was cut off: remove .*b\.partial then/)
  await rm(place, { recursive: true })
})

type Change = (copy: string) => Promise<unknown>
const edit =
  (
    changes: Partial<Manifest>,
    { isSigned = true, more = [] }: { isSigned?: boolean; more?: readonly string[] } = {},
  ): Change =>
  async (copy) => {
    const path = join(copy, 'manifest.json')
    const read: { manifest: Manifest; digest: string } = JSON.parse(await readFile(path, 'utf8'))
    const files = [
      ...read.manifest.files,
      ...more.map((name) => ({ path: name, bytes: 0, sha256: '0'.repeat(64) })),
    ]
    const { kind: _, format, ...content } = { ...read.manifest, files, ...changes }
    const signed = formatManifest(content).replace('"format": 1', `"format": ${format}`)
    const unsigned = JSON.stringify({ manifest: { ...read.manifest, ...changes }, digest: read.digest })
    await writeFile(path, isSigned ? signed : unsigned)
  }
const flip =
  (name: string): Change =>
  async (copy) => {
    const path = join(copy, name)
    const bytes = await readFile(path)
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
    await writeFile(path, bytes)
  }
const mirrorFile = async (copy: string) => `mirrors/${(await readdir(join(copy, 'mirrors')))[0]}`

const DAMAGES: readonly [string, Change, RegExp][] = [
  ['a bit of the store was turned', flip('store/swarm.db'), /store\/swarm\.db is damaged/],
  [
    'a bit of a mirror was turned',
    async (copy) => await flip(await mirrorFile(copy))(copy),
    /\.bundle is damaged/,
  ],
  ['a file is missing', async (copy) => await rm(join(copy, await mirrorFile(copy))), /is missing/],
  [
    'there is one file more',
    async (copy) => await writeFile(join(copy, 'store', 'more'), ''),
    /not in its manifest/,
  ],
  ['it was cut off', async (copy) => await rm(join(copy, 'manifest.json')), /not a whole one/],
  [
    'the manifest was cut',
    async (copy) => await writeFile(join(copy, 'manifest.json'), '{"manifest":'),
    /not JSON/,
  ],
  ['the manifest was changed', edit({ createdAt: 'x' }, { isSigned: false }), /changed since/],
  ['it is newer', edit({ format: 2 }), /format 2.*newer program/],
  [
    'a link lies in it',
    async (copy) => {
      await rm(join(copy, 'store', 'swarm.db'))
      await symlink('/etc/passwd', join(copy, 'store', 'swarm.db'))
    },
    /neither a file nor a folder/,
  ],
  ['it names what lies elsewhere', edit({}, { more: ['logs/../../x'] }), /which no backup has/],
  ['it names an absolute path', edit({}, { more: ['/etc/x'] }), /which no backup has/],
  ['it names a file twice', edit({}, { more: ['store/swarm.db'] }), /names a file twice/],
]

test.each(DAMAGES)('a backup is refused and nothing changed: %s', async (_what, change, words) => {
  const place = await makeTestDirectory()
  const copy = join(place, 'copy')
  await cp(backup, copy, { recursive: true })
  await change(copy)
  await expect(restore(place, copy)).rejects.toThrow(words)
  expect(await readdir(join(place, 'state'))).toEqual([])
  await rm(place, { recursive: true })
})

test('a backup that is refused is told in one message', async () => {
  const place = await makeTestDirectory()
  const { code, stderr } = await runCli(['--state-dir', join(place, 'state'), 'restore', place], {})
  expect(stderr.split('\n').filter((line) => line.startsWith('error:'))).toEqual([
    expect.stringContaining(`${place} is not a backup, or not a whole one`),
  ])
  expect(code).toBe(1)
  await rm(place, { recursive: true })
})

async function restore(place: string, source: string) {
  const places = { home: place, workingDirectory: place, isRoot: true }
  const flags = [{ setting: 'state-dir', value: join(place, 'state'), origin: 'test' }]
  const { config } = await loadConfig({ environment: {}, places, flags })
  return await restoreState(config, source, new AbortController().signal)
}

test('a place that is not empty is refused, and a daemon does not start on a restore that was cut off', async () => {
  const place = await makeTestDirectory()
  const state = join(place, 'state')
  await mkdir(join(state, 'restore.partial'))
  const { code, stderr } = await runCli(['--state-dir', state, 'restore', backup], {})
  expect(stderr).toContain('is not empty (restore.partial)')
  expect(code).toBe(5)
  await expect(startTestSwarm({ directory: place })).rejects.toThrow('empty the directory and restore again')
  await rm(place, { recursive: true })
})
