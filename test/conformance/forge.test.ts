import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ProjectId, RunId, TicketId } from '../../src/domain/id.ts'
import { type Forge, ForgeError, type ForgeProject, type Mirror } from '../../src/forge/contract.ts'
import { createFakeForge } from '../../src/forge/fake/fake-forge.ts'
import { createGitForge } from '../../src/forge/git/git-forge.ts'
import { createLocalForge } from '../../src/forge/local/local-forge.ts'
import { createMemoryPullRequests } from '../../src/forge/memory-pull-requests.ts'
import { type GitHttpServer, startGitHttpServer } from '../support/git-http-server.ts'
import {
  commitTo,
  git,
  harvestArguments,
  makeRemote,
  makeSandboxFolders,
  makeTemporaryFolder,
  openArguments,
  runWorkspace,
} from '../support/git-repository.ts'

const LOGIN = { username: 'swarm', secret: 'conformance-secret' }
const BRANCH = 'swarm/web-1-test'
const ACTOR = { name: 'Ada', email: 'ada@localhost' }
// Each test has its own deadline; one for the whole file would fail the last ones on a slow machine.
const { signal } = new AbortController()

let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>
let server: GitHttpServer
let remote: { path: string; commit: string }

beforeEach(async () => {
  folder = await makeTemporaryFolder()
  remote = await makeRemote(join(folder.path, 'remotes', 'web.git'))
  server = await startGitHttpServer({ root: join(folder.path, 'remotes'), login: LOGIN })
})
afterEach(async () => {
  await server[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

/** The same records outlive a forge, as the store does. */
let records = createMemoryPullRequests()
beforeEach(() => {
  records = createMemoryPullRequests()
})

const credentials = { find: async (name: string) => (name === 'forge' ? LOGIN : undefined) }
const IMPLEMENTATIONS: Record<
  string,
  { create: () => Forge; url: () => string; credential?: string; hasPullRequests: boolean }
> = {
  'git over smart HTTP': {
    create: () => createGitForge({ mirrorsDir: join(folder.path, 'mirrors'), credentials }),
    url: () => `${server.url}/web.git`,
    credential: 'forge',
    hasPullRequests: false,
  },
  local: {
    create: () => createLocalForge({ mirrorsDir: join(folder.path, 'mirrors'), records }),
    url: () => remote.path,
    hasPullRequests: true,
  },
  fake: {
    create: () => createFakeForge({ mirrorsDir: join(folder.path, 'mirrors') }),
    url: () => `file://${remote.path}`,
    hasPullRequests: true,
  },
}

/** What an agent does: the change is made in a workspace from a bundle, and comes home in a bundle. */
async function work(
  mirror: Mirror,
  base: string,
  attempt: number,
  files: Record<string, string>,
): Promise<string> {
  const sandbox = await makeSandboxFolders(join(folder.path, `sandbox-${attempt}-${base.slice(0, 8)}`))
  await mirror.exportBundle({ commit: base, path: join(sandbox.attempt, 'repo.bundle') }, signal)
  expect(await runWorkspace(sandbox, 'open', openArguments(base))).toMatchObject({ code: 0 })
  for (const [name, content] of Object.entries(files)) await writeFile(join(sandbox.workspace, name), content)
  expect(await runWorkspace(sandbox, 'harvest', harvestArguments(base))).toMatchObject({ code: 0 })
  const note = JSON.parse(await readFile(join(sandbox.attempt, 'work.json'), 'utf8'))
  const outcome = await mirror.importBundle(
    {
      path: join(sandbox.attempt, 'work.bundle'),
      ref: `refs/swarm/run_1/build/0/${attempt}`,
      expectedBase: base,
      expectedCommit: note.commit,
    },
    signal,
  )
  if (outcome.kind !== 'imported') throw new Error(JSON.stringify(outcome))
  return outcome.commit
}

describe.each(Object.entries(IMPLEMENTATIONS))('forge %s', (_name, implementation) => {
  let forge: Forge
  let project: ForgeProject
  let mirror: Mirror

  beforeEach(async () => {
    forge = implementation.create()
    const { credential } = implementation
    project = {
      projectId: 'prj_1' as ProjectId,
      repositoryUrl: implementation.url(),
      defaultBranch: 'main',
      ...(credential === undefined ? {} : { credential }),
    }
    mirror = await forge.ensureMirror(project, signal)
  })

  const open = (commit: string, title = 'A change') =>
    forge.openOrUpdatePullRequest(
      {
        project,
        mirror,
        ticketId: 'tkt_1' as TicketId,
        runId: 'run_1' as RunId,
        branch: BRANCH,
        commit,
        title,
        body: 'why',
      },
      signal,
    )
  const push = (commit: string, branch = BRANCH) =>
    forge.pushBranch({ project, mirror, commit, branch }, signal)
  const branches = async () =>
    (await git(remote.path, 'for-each-ref', '--format=%(refname:short) %(objectname)')).split('\n')

  test('the mirror follows the default branch', async () => {
    expect(await mirror.defaultCommit(signal)).toBe(remote.commit)
    const next = await commitTo(remote.path, 'main', { 'next.txt': 'next\n' })
    expect(await mirror.defaultCommit(signal)).toBe(remote.commit)
    const again = await Promise.all([1, 2, 3].map(() => forge.ensureMirror(project, signal)))
    expect(await Promise.all(again.map((each) => each.defaultCommit(signal)))).toEqual([next, next, next])
  })

  test('an open mirror serves while the remote is away', async () => {
    await rename(remote.path, `${remote.path}.away`)
    await expect(forge.ensureMirror(project, signal)).rejects.toThrow(ForgeError)
    const known = await implementation.create().openMirror(project, signal)
    expect(await known.defaultCommit(signal)).toBe(remote.commit)
  })

  test('a missing repository and a missing branch are said as such', async () => {
    const cases = [
      { ...project, projectId: 'prj_2' as ProjectId, repositoryUrl: `${project.repositoryUrl}-missing` },
      { ...project, projectId: 'prj_3' as ProjectId, defaultBranch: 'no-such-branch' },
    ]
    for (const missing of cases) {
      await expect(forge.ensureMirror(missing, signal)).rejects.toMatchObject({
        name: 'ForgeError',
        code: 'repository_missing',
        reason: 'repository_missing',
      })
    }
  })

  test('a push makes one branch, however often it is repeated, also by another coordinator', async () => {
    const commit = await work(mirror, remote.commit, 1, { 'a.txt': 'a\n' })
    expect(await push(commit)).toEqual({ kind: 'pushed', commit })
    expect(await push(commit)).toEqual({ kind: 'unchanged', commit })
    const other = implementation.create()
    const theirs = await other.ensureMirror(project, signal)
    expect(await other.pushBranch({ project, mirror: theirs, commit, branch: BRANCH }, signal)).toEqual({
      kind: 'unchanged',
      commit,
    })
    expect(await branches()).toEqual([`main ${remote.commit}`, `${BRANCH} ${commit}`])
    expect(await git(remote.path, 'log', '-1', '--format=%B', BRANCH)).toBe(
      'WEB-1: test\n\nSwarm-Ticket: WEB-1\nSwarm-Run: run_1',
    )
  })

  test('a branch moves on with further work, and rewritten work is parked before it is replaced', async () => {
    const first = await work(mirror, remote.commit, 1, { 'a.txt': 'a\n' })
    const second = await work(mirror, first, 2, { 'a.txt': 'a2\n' })
    const rewritten = await work(mirror, remote.commit, 3, { 'b.txt': 'b\n' })
    await push(first)
    expect(await push(second)).toEqual({ kind: 'pushed', commit: second, previous: first })
    expect(await push(rewritten)).toEqual({ kind: 'pushed', commit: rewritten, previous: second })
    expect(await mirror.listRefs('refs/parked/', signal)).toEqual([
      { commit: second, ref: 'refs/parked/replaced/swarm-web-1-test' },
    ])
  })

  test("a person's commits on the branch are never overwritten", async () => {
    const commit = await work(mirror, remote.commit, 1, { 'a.txt': 'a\n' })
    await push(commit)
    const theirs = await commitTo(remote.path, BRANCH, { 'person.txt': 'mine\n' })
    const next = await work(mirror, commit, 2, { 'a.txt': 'a2\n' })
    expect(await push(next)).toMatchObject({ kind: 'rejected', reason: 'push_failed' })
    expect(await git(remote.path, 'rev-parse', BRANCH)).toBe(theirs)
    expect(await mirror.fetchBranch(BRANCH, signal)).toBe(theirs)
    const onTop = await work(mirror, theirs, 3, { 'a.txt': 'a3\n' })
    expect(await push(onTop)).toEqual({ kind: 'pushed', commit: onTop, previous: theirs })
  })

  test('only branches of ours are pushed', async () => {
    const commit = await work(mirror, remote.commit, 1, { 'a.txt': 'a\n' })
    for (const branch of [
      'main',
      '-x',
      'swarm/../main',
      'swarm/a b',
      'feature/x',
      'swarm/',
      'refs/heads/main',
    ]) {
      expect(await push(commit, branch)).toMatchObject({ kind: 'rejected', reason: 'branch_protected' })
    }
    expect(await branches()).toEqual([`main ${remote.commit}`])
  })

  test('an aborted call ends and leaves nothing behind', async () => {
    const aborted = AbortSignal.abort(new Error('enough'))
    await expect(forge.ensureMirror(project, aborted)).rejects.toThrow('enough')
    const commit = await work(mirror, remote.commit, 1, { 'a.txt': 'a\n' })
    await expect(forge.pushBranch({ project, mirror, commit, branch: BRANCH }, aborted)).rejects.toThrow(
      'enough',
    )
    expect(await push(commit)).toEqual({ kind: 'pushed', commit })
  })

  test('what a forge cannot do is refused, not pretended', async () => {
    const named = { project, mirror, number: 1 }
    const { capabilities } = forge
    expect(capabilities.pullRequests).toBe(implementation.hasPullRequests)
    if (!capabilities.pullRequests) {
      await expect(open(remote.commit)).rejects.toMatchObject({ code: 'unsupported' })
      await expect(forge.closePullRequest(named, signal)).rejects.toMatchObject({ code: 'unsupported' })
      expect(await forge.findPullRequest({ project, mirror, branch: BRANCH }, signal)).toBeUndefined()
    }
    if (!capabilities.merge) {
      await expect(forge.merge({ ...named, actor: ACTOR }, signal)).rejects.toMatchObject({
        code: 'unsupported',
      })
    }
    if (!capabilities.checks) {
      await expect(forge.readChecks(named, signal)).rejects.toMatchObject({ code: 'unsupported' })
    } else expect(await forge.readChecks(named, signal)).toEqual([])
    if (!capabilities.reviews) {
      await expect(forge.readReviews(named, signal)).rejects.toMatchObject({ code: 'unsupported' })
    } else expect(await forge.readReviews(named, signal)).toEqual([])
  })

  if (!implementation.hasPullRequests) return

  describe('with pull requests', () => {
    const find = () => forge.findPullRequest({ project, mirror, branch: BRANCH }, signal)
    const merge = (number = 1) => forge.merge({ project, mirror, number, actor: ACTOR }, signal)

    test('a pull request is opened once, brought up to date, and shows its diff', async () => {
      const commit = await work(mirror, remote.commit, 1, { 'a.txt': 'a\n' })
      await push(commit)
      const opened = await open(commit)
      expect(opened).toMatchObject({
        kind: 'opened',
        baseCommit: remote.commit,
        pullRequest: { number: 1, status: 'open', branch: BRANCH, baseBranch: 'main', headCommit: commit },
        diff: { files: [{ path: 'a.txt', status: 'added', insertions: 1, deletions: 0 }], insertions: 1 },
      })
      expect(await open(commit)).toMatchObject({ kind: 'unchanged', pullRequest: { number: 1 } })
      const next = await work(mirror, commit, 2, { 'a.txt': 'a2\n' })
      await push(next)
      expect(await open(next)).toMatchObject({
        kind: 'updated',
        pullRequest: { number: 1, headCommit: next },
      })
      expect(await find()).toMatchObject({ number: 1, status: 'open', headCommit: next })
    })

    test('nothing to propose is said, not opened', async () => {
      expect(await open(remote.commit)).toMatchObject({ kind: 'rejected', reason: 'no_change' })
      expect(await find()).toBeUndefined()
    })

    test('a merge brings the work to the base branch, once', async () => {
      const commit = await work(mirror, remote.commit, 1, { 'a.txt': 'a\n' })
      await commitTo(remote.path, 'main', { 'meanwhile.txt': 'm\n' })
      await push(commit)
      await open(commit)
      const merged = await merge()
      expect(merged).toEqual({ kind: 'merged', commit: await git(remote.path, 'rev-parse', 'main') })
      expect(await git(remote.path, 'show', 'main:a.txt')).toBe('a')
      expect(await git(remote.path, 'show', 'main:meanwhile.txt')).toBe('m')
      expect(await git(remote.path, 'log', '-1', '--format=%an', 'main')).toBe('Ada')
      expect(await merge()).toMatchObject({
        kind: 'already-merged',
        commit: (merged as { commit: string }).commit,
      })
      expect(await find()).toMatchObject({ status: 'merged' })
      expect(await open(commit)).toMatchObject({
        kind: 'unchanged',
        pullRequest: { status: 'merged', number: 1 },
      })
    })

    test('a merge by hand is noticed', async () => {
      const commit = await work(mirror, remote.commit, 1, { 'a.txt': 'a\n' })
      await push(commit)
      await open(commit)
      await git(remote.path, 'update-ref', 'refs/heads/main', commit)
      expect(await find()).toMatchObject({ status: 'merged', mergedCommit: commit })
      expect(await merge()).toEqual({ kind: 'already-merged', commit })
    })

    test('a merge by hand is noticed also when the base branch has moved on since', async () => {
      const commit = await work(mirror, remote.commit, 1, { 'a.txt': 'a\n' })
      await push(commit)
      await open(commit)
      await git(remote.path, 'update-ref', 'refs/heads/main', commit)
      await commitTo(remote.path, 'main', { 'later.txt': 'x' })
      expect(await merge()).toEqual({ kind: 'already-merged', commit })
    })

    test('a conflict lists its files and changes nothing', async () => {
      const commit = await work(mirror, remote.commit, 1, { 'readme.txt': 'ours\n', 'a.txt': 'a\n' })
      const theirs = await commitTo(remote.path, 'main', { 'readme.txt': 'theirs\n' })
      await push(commit)
      await open(commit)
      expect(await merge()).toMatchObject({ kind: 'conflict', files: ['readme.txt'] })
      expect(await git(remote.path, 'rev-parse', 'main')).toBe(theirs)
      expect(await find()).toMatchObject({ status: 'open' })
    })

    test('a branch that moved on after the last look is not merged', async () => {
      const commit = await work(mirror, remote.commit, 1, { 'a.txt': 'a\n' })
      await push(commit)
      await open(commit)
      await commitTo(remote.path, BRANCH, { 'unseen.txt': 'x\n' })
      expect(await merge()).toMatchObject({ kind: 'rejected', reason: 'changes_requested' })
      expect(await git(remote.path, 'rev-parse', 'main')).toBe(remote.commit)
    })

    test('a closed pull request stays closed, and further work opens another', async () => {
      const commit = await work(mirror, remote.commit, 1, { 'a.txt': 'a\n' })
      await push(commit)
      await open(commit)
      const closed = await forge.closePullRequest({ project, mirror, number: 1 }, signal)
      expect(closed.status).toBe('closed')
      expect(await merge()).toMatchObject({ kind: 'rejected', reason: 'pull_request_closed' })
      expect(await open(commit)).toMatchObject({ kind: 'unchanged', pullRequest: { status: 'closed' } })
      const next = await work(mirror, commit, 2, { 'a.txt': 'a2\n' })
      await push(next)
      expect(await open(next)).toMatchObject({ kind: 'opened', pullRequest: { number: 2, status: 'open' } })
    })
  })
})

test('the fake forge makes the trouble that a branch asks for', async () => {
  const forge = createFakeForge({ mirrorsDir: join(folder.path, 'mirrors') })
  const project = { projectId: 'prj_1' as ProjectId, repositoryUrl: remote.path, defaultBranch: 'main' }
  const mirror = await forge.ensureMirror(project, signal)
  const commit = await work(mirror, remote.commit, 1, { 'a.txt': 'a\n' })
  const push = async (branch: string) =>
    await forge.pushBranch({ project, mirror, commit, branch: `swarm/web-1-${branch}` }, signal)
  expect(await push('fake-push-fails-1')).toMatchObject({ kind: 'rejected', reason: 'push_failed' })
  expect(await push('fake-push-fails-1')).toMatchObject({ kind: 'pushed' })
  expect(await push('fake-push-protected')).toMatchObject({ kind: 'rejected', reason: 'branch_protected' })
  forge.setCheck({ projectId: 'prj_1', number: 1 }, { name: 'ci', status: 'failed' })
  expect(await forge.readChecks({ project, mirror, number: 1 }, signal)).toEqual([
    { name: 'ci', status: 'failed' },
  ])
})

test('the local forge works on directories only, and refuses a branch that is checked out', async () => {
  const forge = createLocalForge({ mirrorsDir: join(folder.path, 'mirrors'), records })
  const project = {
    projectId: 'prj_1' as ProjectId,
    repositoryUrl: `${server.url}/web.git`,
    defaultBranch: 'main',
  }
  await expect(forge.ensureMirror(project, signal)).rejects.toMatchObject({ code: 'repository_refused' })

  const checkedOut = join(folder.path, 'checked-out')
  await mkdir(checkedOut)
  await git(folder.path, 'clone', '--quiet', remote.path, checkedOut)
  const here = { ...project, repositoryUrl: checkedOut }
  const mirror = await forge.ensureMirror(here, signal)
  const commit = await work(mirror, remote.commit, 1, { 'a.txt': 'a\n' })
  expect(await forge.pushBranch({ project: here, mirror, commit, branch: BRANCH }, signal)).toMatchObject({
    kind: 'pushed',
  })
  await forge.openOrUpdatePullRequest(
    {
      project: here,
      mirror,
      ticketId: 'tkt_1' as TicketId,
      runId: 'run_1' as RunId,
      branch: BRANCH,
      commit,
      title: 'A change',
      body: '',
    },
    signal,
  )
  const refused = await forge.merge({ project: here, mirror, number: 1, actor: ACTOR }, signal)
  expect(refused).toMatchObject({ kind: 'rejected', reason: 'branch_protected' })
  expect((refused as { detail: string }).detail).toContain('checked out')
  await git(checkedOut, 'merge', '--quiet', '--ff-only', BRANCH)
  expect(await forge.findPullRequest({ project: here, mirror, branch: BRANCH }, signal)).toMatchObject({
    status: 'merged',
  })
})
