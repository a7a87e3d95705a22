import { chmod, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ProjectId } from '../../src/domain/id.ts'
import type { ForgeProject, Mirror } from '../../src/forge/contract.ts'
import { createGitForge } from '../../src/forge/git/git-forge.ts'
import { createMirrors, type MirrorsInput } from '../../src/forge/mirrors.ts'
import { pushBranch } from '../../src/forge/push-branch.ts'
import { runProcess } from '../../src/platform/process.ts'
import { type GitHttpServer, startGitHttpServer } from '../support/git-http-server.ts'
import { git, makeRemote, makeTemporaryFolder } from '../support/git-repository.ts'

const SECRET = 'planted-7f3a9c-secret'
const LOGIN = { username: 'swarm', secret: SECRET }
const BRANCH = 'swarm/web-1-test'
// Each test has its own deadline; one for the whole file would fail the last ones on a slow machine.
const { signal } = new AbortController()

let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>
let server: GitHttpServer
let remote: { path: string; commit: string }
let project: ForgeProject

beforeEach(async () => {
  folder = await makeTemporaryFolder()
  remote = await makeRemote(join(folder.path, 'remotes', 'web.git'))
  server = await startGitHttpServer({ root: join(folder.path, 'remotes'), login: LOGIN })
  project = {
    projectId: 'prj_1' as ProjectId,
    repositoryUrl: `${server.url}/web.git`,
    defaultBranch: 'main',
    credential: 'forge',
  }
})
afterEach(async () => {
  await server[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

const toForge = (secret: string) =>
  createGitForge({
    mirrorsDir: join(folder.path, 'mirrors'),
    credentials: { find: async (name) => (name === 'forge' ? { ...LOGIN, secret } : undefined) },
  })

/** A commit in the mirror that the remote does not have. */
async function makeWork(mirror: Mirror): Promise<string> {
  const gitDir = join(folder.path, 'mirrors', 'prj_1.git')
  const commit = await git(
    gitDir,
    'commit-tree',
    '-p',
    remote.commit,
    '-m',
    'work',
    `${remote.commit}^{tree}`,
  )
  await git(gitDir, 'update-ref', 'refs/swarm/run_1/build/0/1', commit)
  expect(await mirror.resolve('refs/swarm/run_1/build/0/1', signal)).toBe(commit)
  return commit
}

async function plantHook(name: string, script: string): Promise<void> {
  const path = join(remote.path, 'hooks', name)
  await writeFile(path, script)
  await chmod(path, 0o755)
}

test('a wrong, a missing and an unknown login are refused, and said as such', async () => {
  const refused = { code: 'credential_refused', reason: 'repository_refused' }
  await expect(toForge('wrong').ensureMirror(project, signal)).rejects.toMatchObject(refused)
  const { credential: _, ...anonymous } = project
  await expect(toForge(SECRET).ensureMirror(anonymous, signal)).rejects.toMatchObject(refused)
  const unknown = { ...project, credential: 'no-such-secret' }
  await expect(toForge(SECRET).ensureMirror(unknown, signal)).rejects.toThrow('no-such-secret')
})

test('a credential is sent to the hosts that it is for, and to no other', async () => {
  const toBoundForge = (hosts: readonly string[]) =>
    createGitForge({
      name: 'company',
      mirrorsDir: join(folder.path, 'mirrors'),
      credentials: { find: async () => ({ ...LOGIN, hosts }) },
    })
  const before = server.requests.length
  await expect(toBoundForge(['git.example.org']).ensureMirror(project, signal)).rejects.toThrow(
    'never sent there',
  )
  expect(server.requests.length).toBe(before)
  const bound = toBoundForge([new URL(server.url).host])
  expect(bound.name).toBe('company')
  expect(await (await bound.ensureMirror(project, signal)).defaultCommit(signal)).toBe(remote.commit)
})

test('a login that stops working between fetch and push is an outcome, and the work stays', async () => {
  const mirror = await toForge(SECRET).ensureMirror(project, signal)
  const commit = await makeWork(mirror)
  const late = await toForge('revoked').openMirror(project, signal)
  const outcome = await toForge('revoked').pushBranch(
    { project, mirror: late, commit, branch: BRANCH },
    signal,
  )
  expect(outcome).toMatchObject({ kind: 'rejected', reason: 'repository_refused' })
  expect(await mirror.resolve('refs/swarm/run_1/build/0/1', signal)).toBe(commit)
})

test('a branch that the server protects gives branch_protected', async () => {
  await plantHook('pre-receive', '#!/bin/sh\necho "swarm/* is a protected branch" >&2\nexit 1\n')
  const forge = toForge(SECRET)
  const mirror = await forge.ensureMirror(project, signal)
  const commit = await makeWork(mirror)
  const outcome = await forge.pushBranch({ project, mirror, commit, branch: BRANCH }, signal)
  expect(outcome).toMatchObject({ kind: 'rejected', reason: 'branch_protected' })
  expect((outcome as { detail: string }).detail).toContain('protected branch')
})

test('a push that the server cannot take gives push_failed', async () => {
  const forge = toForge(SECRET)
  const mirror = await forge.ensureMirror(project, signal)
  const commit = await makeWork(mirror)
  // A branch `swarm` leaves no room for a branch below it.
  await git(remote.path, 'update-ref', 'refs/heads/swarm', remote.commit)
  const outcome = await forge.pushBranch({ project, mirror, commit, branch: BRANCH }, signal)
  expect(outcome).toMatchObject({ kind: 'rejected', reason: 'push_failed' })
})

test('P11: a failed push is a failure and is retried; work stays in the mirror', async () => {
  const forge = toForge(SECRET)
  const mirror = await forge.ensureMirror(project, signal)
  const commit = await makeWork(mirror)
  const port = Number(new URL(server.url).port)
  await server[Symbol.asyncDispose]()

  const failed = await forge.pushBranch({ project, mirror, commit, branch: BRANCH }, signal)
  expect(failed).toMatchObject({ kind: 'rejected', reason: 'network_failed' })
  expect(await mirror.resolve('refs/swarm/run_1/build/0/1', signal)).toBe(commit)
  await expect(forge.ensureMirror(project, signal)).rejects.toMatchObject({ reason: 'network_failed' })

  server = await startGitHttpServer({ root: join(folder.path, 'remotes'), login: LOGIN, port })
  expect(await forge.pushBranch({ project, mirror, commit, branch: BRANCH }, signal)).toEqual({
    kind: 'pushed',
    commit,
  })
  expect(await git(remote.path, 'rev-parse', BRANCH)).toBe(commit)
})

test('U18: a server that never answers ends at the deadline or when the caller aborts', async () => {
  const { createServer } = await import('node:net')
  const silent = createServer(() => {})
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const { port } = silent.address() as { port: number }
  const slow = { ...project, repositoryUrl: `http://127.0.0.1:${port}/web.git` }
  const startedAt = performance.now()
  await expect(toForge(SECRET).ensureMirror(slow, AbortSignal.timeout(500))).rejects.toThrow(
    /timeout|aborted/i,
  )
  expect(performance.now() - startedAt).toBeLessThan(10_000)
  silent.close()
})

test('U15: the credential is in no argument, no URL, no message and no file of the mirror', async () => {
  const calls: { argv: readonly string[]; env: Readonly<Record<string, string>> }[] = []
  const spy: MirrorsInput['run'] = (request) => {
    calls.push({ argv: request.argv, env: request.env ?? {} })
    return runProcess(request)
  }
  const mirrors = createMirrors({
    mirrorsDir: join(folder.path, 'mirrors'),
    run: spy,
    credentials: { find: async () => LOGIN },
  })
  const mirror = await mirrors.ensure(project, signal)
  const commit = await makeWork(mirror)
  await pushBranch({ project, mirror, commit, branch: BRANCH }, signal)
  const basic = Buffer.from(`${LOGIN.username}:${SECRET}`).toString('base64')
  const isIn = (text: string) => text.includes(SECRET) || text.includes(basic)

  expect(calls.some(({ argv }) => argv.some(isIn))).toBe(false)
  expect(server.requests.some(isIn)).toBe(false)
  const withSecret = calls.filter(({ env }) => Object.values(env).some(isIn))
  expect(withSecret.length).toBeGreaterThan(0)
  expect(withSecret.every(({ argv }) => argv.some((argument) => argument === `${server.url}/web.git`))).toBe(
    true,
  )
  expect(await findInFiles(join(folder.path, 'mirrors'), isIn)).toEqual([])
})

async function findInFiles(directory: string, isIn: (text: string) => boolean): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  expect(files.length).toBeGreaterThan(0)
  const found: string[] = []
  for (const file of files) if (isIn(await readFile(file, 'latin1'))) found.push(file)
  return found
}
