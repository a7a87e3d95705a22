/** A round of retention over a real store, real logs and a real mirror; only the clock is moved by hand. */
import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { collectGarbage, type GarbageDeps } from '../../src/coordinator/maintenance/collect-garbage.ts'
import { Maintenance } from '../../src/coordinator/maintenance/maintenance.ts'
import type { RetentionPolicy } from '../../src/coordinator/maintenance/retention-policy.ts'
import type { RunId } from '../../src/domain/id.ts'
import { createLocalForge } from '../../src/forge/local/local-forge.ts'
import { createMemoryPullRequests } from '../../src/forge/memory-pull-requests.ts'
import { createLogger } from '../../src/platform/log.ts'
import type { AttemptLogs } from '../../src/store/attempt-log.ts'
import type { Store } from '../../src/store/contract.ts'
import { createLogFiles } from '../../src/store/log-files/log-files.ts'
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.ts'
import { git, makeRemote, makeTemporaryFolder } from '../support/git-repository.ts'
import { createManualClock, type ManualClock } from '../support/manual-clock.ts'
import { createSeededBytes } from '../support/seeded-bytes.ts'
import { beginAttempt, beginScene, claim, createTestTicket, type RunningScene } from '../support/store.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const FOREVER: RetentionPolicy = {
  eventsMs: null,
  eventCountMax: null,
  runsMs: null,
  logsMs: null,
  logBytesMax: null,
  artifactsMs: null,
  artifactBytesMax: null,
  workMs: null,
}
const MONTH: RetentionPolicy = {
  ...FOREVER,
  eventsMs: 30 * DAY_MS,
  runsMs: 30 * DAY_MS,
  logsMs: 30 * DAY_MS,
  artifactsMs: 30 * DAY_MS,
  workMs: 30 * DAY_MS,
}
const { signal } = new AbortController()

let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>
let clock: ManualClock
let store: Store
let logs: AttemptLogs
let deps: GarbageDeps

beforeEach(async () => {
  folder = await makeTemporaryFolder()
  clock = createManualClock(Date.now())
  const path = join(folder.path, 'swarm.db')
  store = await openSqliteStore({ path, clock, randomBytes: createSeededBytes(1) })
  logs = createLogFiles({ directory: join(folder.path, 'logs'), clock })
  const forge = createLocalForge({
    mirrorsDir: join(folder.path, 'mirrors'),
    records: createMemoryPullRequests(),
  })
  deps = {
    store,
    logs,
    forges: {
      find: ({ id: projectId, repositoryUrl, defaultBranch }) =>
        repositoryUrl === null ? undefined : { forge, project: { projectId, repositoryUrl, defaultBranch } },
    },
    policy: MONTH,
    stateDir: folder.path,
    storePaths: [path],
  }
})
afterEach(async () => {
  await store.close()
  await folder[Symbol.asyncDispose]()
})

const round = async (policy: RetentionPolicy, { isDryRun = false } = {}) =>
  (await collectGarbage({ ...deps, policy }, { isDryRun, signal })).report

async function writeLog(runId: RunId, text: string): Promise<void> {
  const log = await logs.open({ runId, stepKey: 'step', attempt: 1 })
  await log.append('stdout', Buffer.from(text))
  await log.close()
}

async function writeArtifact(runId: RunId, byteCount: number): Promise<void> {
  await mkdir(join(folder.path, 'artifacts', runId), { recursive: true })
  await writeFile(join(folder.path, 'artifacts', runId, 'a'), Buffer.alloc(byteCount))
}

/** A run with a step, an attempt, a log and an artifact. */
async function beginRun({ isEnded }: { isEnded: boolean }): Promise<RunningScene> {
  const scene = await beginScene(store)
  const { proof, runId } = scene
  const { attempt } = await beginAttempt(store, proof)
  await writeLog(runId, 'hello')
  await writeArtifact(runId, 100)
  if (!isEnded) return scene
  await store.write.succeedAttempt({ ...proof, attemptId: attempt.id, outputs: {} })
  await store.write.finishRun({ ...proof, outcome: { status: 'succeeded', outputs: {}, ticket: 'done' } })
  return scene
}

const list = async (name: string) => await readdir(join(folder.path, name)).catch(() => [])

test('P2: what ended long ago goes, what ended lately and what has not ended stays', async () => {
  const open = await beginRun({ isEnded: false })
  const old = await beginRun({ isEnded: true })
  clock.advance(31 * DAY_MS)
  const young = await beginRun({ isEnded: true })

  const said = await round(MONTH, { isDryRun: true })
  expect(said).toMatchObject({
    isDryRun: true,
    runCount: 1,
    logs: { runCount: 1 },
    artifacts: { runCount: 1, bytes: 100 },
  })
  expect((await list('logs')).length).toBe(3)
  expect((await store.read.listStepInstances(old.runId)).length).toBe(1)

  expect(await round(MONTH)).toMatchObject({ ...said, isDryRun: false, durationMs: expect.any(Number) })
  expect((await list('logs')).sort()).toEqual([open.runId, young.runId].sort())
  expect((await list('artifacts')).sort()).toEqual([open.runId, young.runId].sort())
  expect(await store.read.listStepInstances(old.runId)).toEqual([])
  for (const { runId } of [open, young]) expect((await store.read.listAttempts({ runId })).length).toBe(1)
  expect(await store.read.findRun(old.runId)).toMatchObject({ status: 'succeeded' })
  expect(await round(MONTH)).toMatchObject({ runCount: 0, logs: { runCount: 0 }, artifacts: { runCount: 0 } })
})

test('P2: logs beyond their bytes go oldest first, but none of a ticket that has not ended', async () => {
  const open = await beginRun({ isEnded: false })
  const ended: RunningScene[] = []
  for (let i = 0; i < 3; i++) {
    ended.push(await beginRun({ isEnded: true }))
    clock.advance(1_000)
  }
  const one = (await round(FOREVER, { isDryRun: true })).logs
  expect(one).toEqual({ runCount: 0, bytes: 0 })
  const sizes = await collectGarbage(deps, { isDryRun: true, signal })
  const each = (sizes.usage.bytesByKind.logs ?? 0) / 4
  expect(await round({ ...FOREVER, logBytesMax: Math.ceil(each * 2.5) })).toMatchObject({
    logs: { runCount: 2 },
    problems: [],
  })
  expect((await list('logs')).sort()).toEqual([open.runId, ended[2]?.runId].sort())
  const { logs: removed, problems } = await round({ ...FOREVER, logBytesMax: 1 })
  expect(removed.runCount).toBe(1)
  expect(await list('logs')).toEqual([open.runId])
  expect(problems).toEqual([expect.stringMatching(/^logs: \d+ bytes are left, more than configured/)])
})

test('folders of runs that no store knows go after a day and the age; other names are left alone', async () => {
  for (const name of ['run_lost', 'run_new', 'keep-me'])
    await mkdir(join(folder.path, 'logs', name), { recursive: true })
  clock.set(Date.now())
  const longAgo = (Date.now() - 40 * DAY_MS) / 1000
  for (const name of ['run_lost', 'keep-me']) await utimes(join(folder.path, 'logs', name), longAgo, longAgo)
  expect((await round(MONTH)).logs.runCount).toBe(1)
  expect((await list('logs')).sort()).toEqual(['keep-me', 'run_new'])
})

test('copies of agent packages that no record names go after a day', async () => {
  await store.write.registerAgent({
    name: 'coder',
    version: '1.0.0',
    manifest: {},
    path: '/elsewhere/registry/coder/1.0.0',
    digest: 'd',
    source: 'registered',
    actor: 'test',
  })
  for (const name of ['coder/1.0.0', 'coder/2.0.0', 'coder/.new-1', 'coder/3.0.0']) {
    await mkdir(join(folder.path, 'registry', 'agents', name), { recursive: true })
    const at = name === 'coder/3.0.0' ? Date.now() : Date.now() - 2 * DAY_MS
    await utimes(join(folder.path, 'registry', 'agents', name), at / 1000, at / 1000)
  }
  expect((await round(FOREVER, { isDryRun: true })).packageCount).toBe(2)
  expect((await round(FOREVER)).packageCount).toBe(2)
  expect((await list('registry/agents/coder')).sort()).toEqual(['1.0.0', '3.0.0'])
})

test('P13: names of work go with their tickets; a commit that no pushed branch holds is kept under another', async () => {
  const remote = await makeRemote(join(folder.path, 'remote.git'))
  const mirrors = join(folder.path, 'mirrors')
  const scenes = [await beginScene(store), await beginScene(store)] as const
  const commits = new Map<RunId, string>()
  for (const { project, runId, proof } of scenes) {
    const known = await store.write.updateProject({
      projectId: project.id,
      changes: { repositoryUrl: remote.path, forge: 'local', defaultBranch: 'main' },
      actor: 'test',
    })
    const found = deps.forges.find(known)
    await found?.forge.ensureMirror(found.project, signal)
    const mirror = join(mirrors, `${project.id}.git`)
    const commit = await git(
      mirror,
      'commit-tree',
      '-p',
      remote.commit,
      '-m',
      runId,
      `${remote.commit}^{tree}`,
    )
    await git(mirror, 'update-ref', `refs/swarm/${runId}/build/0/1`, commit)
    commits.set(runId, commit)
    if (runId === scenes[0].runId) {
      await git(mirror, 'update-ref', 'refs/remotes/origin/swarm/one', commit)
      await store.write.finishRun({ ...proof, outcome: { status: 'succeeded', outputs: {}, ticket: 'done' } })
    } else {
      await store.write.finishRun({
        ...proof,
        outcome: { status: 'failed', reason: 'push_failed', detail: '', ticket: { kind: 'dead' } },
      })
    }
  }
  const refs = async (at: 0 | 1) =>
    (
      await git(
        join(mirrors, `${scenes[at].project.id}.git`),
        'for-each-ref',
        '--format=%(refname) %(objectname)',
        'refs/swarm',
        'refs/parked',
      )
    )
      .split('\n')
      .filter((line) => line !== '')

  expect((await round(MONTH)).work).toEqual({ deletedCount: 0, parkedCount: 0 })
  clock.advance(31 * DAY_MS)
  expect((await round(MONTH, { isDryRun: true })).work).toEqual({ deletedCount: 2, parkedCount: 0 })
  expect((await refs(0)).length).toBe(1)
  expect(await round(MONTH)).toMatchObject({ work: { deletedCount: 1, parkedCount: 1 }, problems: [] })
  expect(await refs(0)).toEqual([])
  const { runId } = scenes[1]
  expect(await refs(1)).toEqual([`refs/parked/${runId}/build/0/1 ${commits.get(runId)}`])
  expect((await round(MONTH)).work).toEqual({ deletedCount: 0, parkedCount: 0 })
})

test('P13: a mirror is packed when it pays and nobody works; what has a name stays', async () => {
  const remote = await makeRemote(join(folder.path, 'remote.git'))
  const { project, proof } = await beginScene(store)
  const known = await store.write.updateProject({
    projectId: project.id,
    changes: { repositoryUrl: remote.path, forge: 'local', defaultBranch: 'main' },
    actor: 'test',
  })
  const found = deps.forges.find(known)
  await found?.forge.ensureMirror(found.project, signal)
  const mirror = join(folder.path, 'mirrors', `${project.id}.git`)
  const tree = `${remote.commit}^{tree}`
  const parked = await git(mirror, 'commit-tree', '-p', remote.commit, '-m', 'parked', tree)
  await git(mirror, 'update-ref', 'refs/parked/work', parked)
  const compacted = async () => {
    const { compactedMirrorCount, problems } = await round(FOREVER)
    expect(problems).toEqual([])
    return compactedMirrorCount
  }
  await store.write.finishRun({ ...proof, outcome: { status: 'succeeded', outputs: {}, ticket: 'done' } })
  expect(await compacted()).toBe(0)
  const loose = join(mirror, 'objects', '17')
  await mkdir(loose, { recursive: true })
  for (let i = 0; i < 28; i++) await writeFile(join(loose, `tmp_obj_${i}`), '')

  await createTestTicket(store, known)
  const { proof: working } = await claim(store)
  expect(await compacted()).toBe(0)
  await store.write.finishRun({ ...working, outcome: { status: 'succeeded', outputs: {}, ticket: 'done' } })
  expect(await compacted()).toBe(1)
  expect(await git(mirror, 'cat-file', '-t', parked)).toBe('commit')
  expect(await git(mirror, 'count-objects', '-v')).toContain('count: 0')
})

test('P2: two rounds at once, and one that is cut off, do no harm', async () => {
  for (let i = 0; i < 5; i++) await beginRun({ isEnded: true })
  clock.advance(31 * DAY_MS)
  const cut = new AbortController()
  cut.abort()
  await expect(collectGarbage(deps, { isDryRun: false, signal: cut.signal })).rejects.toThrow()
  const reports = await Promise.all([round(MONTH), round(MONTH)])
  expect(Math.max(...reports.map(({ runCount }) => runCount))).toBeGreaterThanOrEqual(1)
  expect(await list('logs')).toEqual([])
  expect(await store.read.listPrunableRuns({ endedBefore: store.now() })).toEqual([])
})

test('retention goes round by itself, one piece of work at a time, and ends with the coordinator', async () => {
  await beginRun({ isEnded: true })
  clock.advance(31 * DAY_MS)
  let sweepCount = 0
  const maintenance = new Maintenance({
    ...deps,
    sweepSandboxes: async () => {
      sweepCount += 1
    },
    logger: createLogger({ level: 'silent' }),
    firstAfterMs: 1,
    intervalMs: 1,
  })
  const order: string[] = []
  const first = maintenance.inTurn(signal, async () => {
    await new Promise((resolve) => setImmediate(resolve))
    order.push('first')
  })
  const second = maintenance.inTurn(signal, async () => void order.push('second'))
  await Promise.all([first, second])
  expect(order).toEqual(['first', 'second'])

  maintenance.start()
  await expect.poll(async () => await list('logs')).toEqual([])
  await expect.poll(() => maintenance.usage?.bytesByKind.store ?? 0).toBeGreaterThan(0)
  expect(sweepCount).toBeGreaterThan(0)
  await maintenance.stop()
  await expect(maintenance.collectGarbage({ isDryRun: false, signal })).rejects.toThrow(
    'the coordinator stops',
  )
})
