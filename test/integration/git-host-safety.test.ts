import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ProjectId, RunId, TicketId } from '../../src/domain/id.ts'
import { toBranchName } from '../../src/forge/branch-name.ts'
import { createLocalForge } from '../../src/forge/local/local-forge.ts'
import { createMemoryPullRequests } from '../../src/forge/memory-pull-requests.ts'
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

// Each test has its own deadline; one for the whole file would fail the last ones on a slow machine.
const { signal } = new AbortController()
const ACTOR = { name: 'Ada', email: 'ada@localhost' }
const HOOKS = [
  'applypatch-msg',
  'commit-msg',
  'fsmonitor-watchman',
  'post-checkout',
  'post-commit',
  'post-merge',
  'post-receive',
  'post-rewrite',
  'post-update',
  'pre-auto-gc',
  'pre-commit',
  'pre-merge-commit',
  'pre-push',
  'pre-receive',
  'prepare-commit-msg',
  'proc-receive',
  'push-to-checkout',
  'reference-transaction',
  'update',
]

let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>
let canaries: string
beforeEach(async () => {
  folder = await makeTemporaryFolder()
  canaries = join(folder.path, 'canaries')
  await mkdir(canaries)
})
afterEach(async () => {
  await folder[Symbol.asyncDispose]()
})

/** A command that leaves a file behind when anything runs it. */
const canary = (name: string) => `touch ${join(canaries, name)}`

async function plantHooks(directory: string, where: string): Promise<void> {
  await mkdir(directory, { recursive: true })
  for (const hook of HOOKS) {
    const path = join(directory, hook)
    await writeFile(path, `#!/bin/sh\n${canary(`${where}-${hook}`)}\n`)
    await chmod(path, 0o755)
  }
}

/** Settings by which git runs a program, as a repository's own configuration could hold them. */
async function plantSettings(gitDir: string, where: string): Promise<void> {
  const settings: Record<string, string> = {
    'core.fsmonitor': canary(`${where}-fsmonitor`),
    'core.alternateRefsCommand': canary(`${where}-alternates`),
    'core.sshCommand': canary(`${where}-ssh`),
    'core.editor': canary(`${where}-editor`),
    'core.pager': canary(`${where}-pager`),
    'diff.external': canary(`${where}-diff`),
    'diff.evil.textconv': canary(`${where}-textconv`),
    'diff.evil.command': canary(`${where}-diff-command`),
    'merge.evil.driver': canary(`${where}-merge`),
    'filter.evil.clean': canary(`${where}-clean`),
    'filter.evil.smudge': canary(`${where}-smudge`),
    'filter.evil.process': canary(`${where}-process`),
    'credential.helper': `!${canary(`${where}-credential`)}`,
    'gpg.program': canary(`${where}-gpg`),
    'uploadpack.packObjectsHook': canary(`${where}-pack`),
    'alias.upload-pack': `!${canary(`${where}-alias`)}`,
  }
  for (const [name, value] of Object.entries(settings)) await git(gitDir, 'config', name, value)
}

test('P19: nothing from a repository runs on the host', async () => {
  const attributes = '* filter=evil diff=evil merge=evil text\n'
  const remote = await makeRemote(join(folder.path, 'web.git'), {
    'readme.txt': 'hello\n',
    '.gitattributes': attributes,
    '.gitmodules': `[submodule "x"]\n\tpath = x\n\turl = ext::${canary('submodule-ext')}\n`,
    '.githooks/post-merge': `#!/bin/sh\n${canary('tracked-hook')}\n`,
    '.gitconfig': `[core]\n\tfsmonitor = ${canary('tracked-config')}\n`,
    '.husky/pre-push': `#!/bin/sh\n${canary('husky')}\n`,
  })
  await plantHooks(join(remote.path, 'hooks'), 'remote')
  await plantSettings(remote.path, 'remote')
  await writeFile(join(folder.path, 'included'), `[core]\n\tfsmonitor = ${canary('include')}\n`)
  await git(remote.path, 'config', 'include.path', join(folder.path, 'included'))
  await git(remote.path, 'config', 'receive.autogc', 'true')
  await git(remote.path, 'config', 'gc.auto', '1')

  const forge = createLocalForge({
    mirrorsDir: join(folder.path, 'mirrors'),
    records: createMemoryPullRequests(),
  })
  const project = { projectId: 'prj_1' as ProjectId, repositoryUrl: remote.path, defaultBranch: 'main' }
  const mirror = await forge.ensureMirror(project, signal)

  const sandbox = await makeSandboxFolders(join(folder.path, 'sandbox'))
  await mirror.exportBundle({ commit: remote.commit, path: join(sandbox.attempt, 'repo.bundle') }, signal)
  expect(await runWorkspace(sandbox, 'open', openArguments(remote.commit))).toMatchObject({ code: 0 })
  const dotGit = join(sandbox.workspace, '.git')
  await plantHooks(join(dotGit, 'hooks'), 'workspace')
  await plantSettings(dotGit, 'workspace')
  await mkdir(join(dotGit, 'info'), { recursive: true })
  await writeFile(join(dotGit, 'info', 'attributes'), attributes)
  await writeFile(join(sandbox.workspace, 'readme.txt'), 'changed\n')
  await plantHooks(join(sandbox.workspace, '.githooks'), 'merged')
  await symlink('.githooks', join(sandbox.workspace, 'hooks'))

  expect(await runWorkspace(sandbox, 'harvest', harvestArguments(remote.commit))).toMatchObject({ code: 0 })
  const note = JSON.parse(await readFile(join(sandbox.attempt, 'work.json'), 'utf8'))
  const work = {
    path: join(sandbox.attempt, 'work.bundle'),
    ref: 'refs/swarm/run_1/build/0/1',
    expectedBase: remote.commit,
  }
  expect(await mirror.importBundle(work, signal)).toMatchObject({ kind: 'imported', commit: note.commit })
  await commitTo(remote.path, 'side', { 'readme.txt': 'hello\n', 'other.txt': 'x' })
  const branch = 'swarm/web-1-test'
  const push = { project, mirror, commit: note.commit, branch }
  const ids = { ticketId: 'tkt_1' as TicketId, runId: 'run_1' as RunId }
  await rmCanaries()

  expect(await forge.pushBranch(push, signal)).toMatchObject({ kind: 'pushed' })
  await forge.openOrUpdatePullRequest({ ...push, ...ids, title: 'x', body: 'x' }, signal)
  await mirror.fetchBranch('side', signal)
  await mirror.diff({ from: remote.commit, to: note.commit }, signal)
  expect(await forge.merge({ project, mirror, number: 1, actor: ACTOR }, signal)).toMatchObject({
    kind: 'merged',
  })
  await forge.ensureMirror(project, signal)
  await mirror.compact(signal)
  expect(await readdir(canaries)).toEqual([])
  expect(await readdir(join(folder.path, 'mirrors', 'prj_1.git'))).not.toContain('hooks')

  // The canaries do sing: what we kept from running runs for a person who pushes with plain git.
  await git(remote.path, 'config', '--unset', 'core.fsmonitor')
  await commitTo(remote.path, 'person', { 'person.txt': 'x' })
  expect(await readdir(canaries)).toContain('remote-post-receive')
})

/** The preparation pushed with plain git, which runs the remote's hooks; only what comes after counts. */
async function rmCanaries(): Promise<void> {
  const { rm } = await import('node:fs/promises')
  for (const name of await readdir(canaries)) await rm(join(canaries, name))
}

test('U14: hostile titles, branch names, paths and file names are inert (fuzzed)', async () => {
  const remote = await makeRemote(join(folder.path, 'web.git'))
  const forge = createLocalForge({
    mirrorsDir: join(folder.path, 'mirrors'),
    records: createMemoryPullRequests(),
  })
  const project = { projectId: 'prj_1' as ProjectId, repositoryUrl: remote.path, defaultBranch: 'main' }
  const mirror = await forge.ensureMirror(project, signal)
  const nasty = fc.constantFrom(
    `$(${canary('title')})`,
    `\`${canary('title')}\``,
    `; ${canary('title')} #`,
    '--upload-pack=evil',
    '-oProxyCommand=x',
    '../../../etc/passwd',
    '\u0000',
    '\n\nSwarm-Ticket: OTHER-1',
    '{{ ticket.secret }}',
    '${ticket.title}',
    '\u001b[2J',
    '.lock',
    '@{u}',
    'a'.repeat(300),
  )
  const text = fc.array(fc.oneof(nasty, fc.string({ unit: 'binary', maxLength: 20 })), { maxLength: 6 })
  const fileName = fc
    .uint8Array({ minLength: 1, maxLength: 40 })
    .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x2d : byte))))
    .filter((name) => !/^\.{1,2}$|git/i.test(name.toString('latin1')))
  let count = 0
  await fc.assert(
    fc.asyncProperty(text, fc.uniqueArray(fileName, { minLength: 1, maxLength: 5 }), async (parts, names) => {
      const title = parts.join('')
      const number = ++count
      const sandbox = await makeSandboxFolders(join(folder.path, `sandbox-${number}`))
      const base = await mirror.defaultCommit(signal)
      await mirror.exportBundle({ commit: base, path: join(sandbox.attempt, 'repo.bundle') }, signal)
      const branch = toBranchName({ key: `WEB-${number}`, title })
      await git(folder.path, 'check-ref-format', '--branch', branch)
      const open = { ...openArguments(base), branch }
      expect(await runWorkspace(sandbox, 'open', open)).toMatchObject({ code: 0 })
      for (const name of names) {
        await writeFile(Buffer.concat([Buffer.from(`${sandbox.workspace}/`), name]), `content ${number}\n`)
      }
      const harvest = { ...harvestArguments(base), message: `WEB-${number}: ${title}` }
      expect(await runWorkspace(sandbox, 'harvest', harvest)).toMatchObject({ code: 0 })
      const note = JSON.parse(await readFile(join(sandbox.attempt, 'work.json'), 'utf8'))
      expect(note).toMatchObject({ changed: true, fileCount: names.length })
      const ref = `refs/swarm/run_${number}/build/0/1`
      const path = join(sandbox.attempt, 'work.bundle')
      const taken = await mirror.importBundle({ path, ref, expectedBase: base }, signal)
      expect(taken).toMatchObject({ kind: 'imported', commit: note.commit })
      const commit = note.commit as string
      expect(await forge.pushBranch({ project, mirror, commit, branch }, signal)).toMatchObject({
        kind: 'pushed',
      })
      const ids = { ticketId: 'tkt_1' as TicketId, runId: 'run_1' as RunId }
      const opened = await forge.openOrUpdatePullRequest(
        { project, mirror, ...ids, branch, commit, title, body: title },
        signal,
      )
      if (opened.kind === 'rejected') throw new Error(opened.detail)
      expect(opened.diff.fileCount).toBe(names.length)
      expect(/[\u0000-\u0008\u000b-\u001f\u007f]/.test(opened.diff.text)).toBe(false)
      const pulled = {
        project,
        mirror,
        number: opened.pullRequest.number,
        actor: { name: title, email: title },
      }
      expect(await forge.merge(pulled, signal)).toMatchObject({ kind: 'merged' })
      // The last paragraph is ours, whatever a title says.
      const trailers = await git(
        remote.path,
        'log',
        '-1',
        '--format=%(trailers:key=Swarm-Ticket,valueonly)',
        commit,
      )
      expect(trailers.trim().split('\n')).toEqual(['WEB-1'])
      await forge.ensureMirror(project, signal)
    }),
    { numRuns: 12 },
  )
  expect(await readdir(canaries)).toEqual([])
})

test("no project has another project's mirror for its repository, by whatever name of it", async () => {
  const remote = await makeRemote(join(folder.path, 'web.git'))
  const mirrorsDir = join(folder.path, 'mirrors')
  const forge = createLocalForge({ mirrorsDir, records: createMemoryPullRequests() })
  const project = { projectId: 'prj_1' as ProjectId, repositoryUrl: remote.path, defaultBranch: 'main' }
  await forge.ensureMirror(project, signal)
  const mirror = join(mirrorsDir, 'prj_1.git')
  await symlink(mirror, join(folder.path, 'innocent'))
  for (const repositoryUrl of [
    mirror,
    `file://${mirror}`,
    `${mirror}/.`,
    join(folder.path, 'innocent'),
    mirrorsDir,
  ]) {
    const other = { ...project, projectId: 'prj_2' as ProjectId, repositoryUrl }
    const refused = { code: 'repository_refused' }
    await expect(forge.ensureMirror(other, signal), repositoryUrl).rejects.toMatchObject(refused)
    await expect(forge.openMirror({ ...other, projectId: project.projectId }, signal)).rejects.toMatchObject(
      refused,
    )
  }
})
