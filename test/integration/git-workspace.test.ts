import { execFileSync } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ProjectId } from '../../src/domain/id.ts'
import type { ImportOutcome, Mirror } from '../../src/forge/mirror-contract.ts'
import { createMirrors } from '../../src/forge/mirrors.ts'
import { runProcess } from '../../src/platform/process.ts'
import {
  commitTo,
  git,
  harvestArguments,
  makeRemote,
  makeSandboxFolders,
  makeTemporaryFolder,
  openArguments,
  runWorkspace,
  type SandboxFolders,
} from '../support/git-repository.ts'

// Each test has its own deadline; one for the whole file would fail the last ones on a slow machine.
const { signal } = new AbortController()

let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>
let remote: { path: string; commit: string }
let mirror: Mirror
let sandbox: SandboxFolders
let workspace: string

beforeEach(async () => {
  folder = await makeTemporaryFolder()
  remote = await makeRemote(join(folder.path, 'web.git'), {
    'readme.txt': 'hello\n',
    'src/a.txt': 'a\n',
    '.gitignore': 'build/\n*.log\n',
  })
  const mirrors = createMirrors({ mirrorsDir: join(folder.path, 'mirrors'), run: runProcess })
  const project = { projectId: 'prj_1' as ProjectId, repositoryUrl: remote.path, defaultBranch: 'main' }
  mirror = await mirrors.ensure(project, signal)
  sandbox = await makeSandboxFolders(join(folder.path, 'sandbox'))
  workspace = sandbox.workspace
  await mirror.exportBundle({ commit: remote.commit, path: join(sandbox.attempt, 'repo.bundle') }, signal)
  expect(await runWorkspace(sandbox, 'open', openArguments(remote.commit))).toMatchObject({ code: 0 })
})
afterEach(async () => {
  await folder[Symbol.asyncDispose]()
})

type Note = {
  changed: boolean
  commit: string
  files: string[]
  fileCount: number
  warnings: string[]
  reason?: string
  insertions: number
}

/** Harvests and takes the work home, as the engine does; what was made must be importable. */
async function harvest(): Promise<Note & { outcome?: ImportOutcome }> {
  const done = await runWorkspace(sandbox, 'harvest', harvestArguments(remote.commit))
  expect(done).toEqual({ code: 0, stderr: '' })
  const note = JSON.parse(await readFile(join(sandbox.attempt, 'work.json'), 'utf8')) as Note
  const leftovers = (await readdir(sandbox.attempt)).filter((name) => name.startsWith('.'))
  expect(leftovers).toEqual([])
  if (!note.changed) return note
  const outcome = await mirror.importBundle(
    {
      path: join(sandbox.attempt, 'work.bundle'),
      ref: 'refs/swarm/run_1/build/0/1',
      expectedBase: remote.commit,
      expectedCommit: note.commit,
    },
    signal,
  )
  expect(outcome.kind).toBe('imported')
  return { ...note, outcome }
}

async function filesAt(commit: string): Promise<string[]> {
  const listed = await git(
    join(folder.path, 'mirrors', 'prj_1.git'),
    'ls-tree',
    '-r',
    '--name-only',
    '-z',
    commit,
  )
  return listed.split('\0').filter(Boolean)
}

test('a workspace is the commit on its branch, with an author and nothing else of the host', async () => {
  expect(await git(workspace, 'status', '--porcelain')).toBe('')
  expect(await git(workspace, 'rev-parse', 'HEAD')).toBe(remote.commit)
  expect(await git(workspace, 'branch', '--show-current')).toBe('swarm/web-1-test')
  expect(await git(workspace, 'config', 'user.name')).toBe('Swarm')
  expect(await git(workspace, 'remote')).toBe('')
  expect(await readdir(join(workspace, '.git'))).not.toContain('hooks')
  const again = await runWorkspace(sandbox, 'open', openArguments(remote.commit))
  expect(again.code).toBe(1)
  expect(again.stderr).toContain('not empty')
})

test('a bundle of another commit is not opened', async () => {
  const other = await makeSandboxFolders(join(folder.path, 'other'))
  await mirror.exportBundle({ commit: remote.commit, path: join(other.attempt, 'repo.bundle') }, signal)
  const opened = await runWorkspace(other, 'open', openArguments('0'.repeat(40)))
  expect(opened).toMatchObject({ code: 1, stderr: expect.stringContaining('not 0000') })
})

test('uncommitted, committed, new, deleted and changed files come home in one commit; ignored ones do not', async () => {
  await writeFile(join(workspace, 'readme.txt'), 'changed\n')
  await rm(join(workspace, 'src/a.txt'))
  await mkdir(join(workspace, 'build'))
  await writeFile(join(workspace, 'build/out.js'), 'x')
  await writeFile(join(workspace, 'debug.log'), 'x')
  await writeFile(join(workspace, 'run.sh'), '#!/bin/sh\n')
  await chmod(join(workspace, 'run.sh'), 0o755)
  await writeFile(join(workspace, 'committed.txt'), 'c\n')
  await git(workspace, 'add', 'committed.txt')
  await git(workspace, 'commit', '--quiet', '-m', 'by the agent')
  await writeFile(join(workspace, 'new.txt'), 'n\n')
  const note = await harvest()
  expect(note.files.sort()).toEqual(['committed.txt', 'new.txt', 'readme.txt', 'run.sh', 'src/a.txt'])
  expect(await filesAt(note.commit)).toEqual([
    '.gitignore',
    'committed.txt',
    'new.txt',
    'readme.txt',
    'run.sh',
  ])
  const mirrorDir = join(folder.path, 'mirrors', 'prj_1.git')
  expect(await git(mirrorDir, 'log', '-1', '--format=%P|%B', note.commit)).toBe(
    `${remote.commit}|WEB-1: test\n\nSwarm-Ticket: WEB-1\nSwarm-Run: run_1`,
  )
  expect(await git(mirrorDir, 'ls-tree', note.commit, 'run.sh')).toMatch(/^100755 /)
})

test('no change gives no bundle and says so', async () => {
  await writeFile(join(workspace, 'debug.log'), 'ignored')
  expect(await harvest()).toMatchObject({ changed: false, reason: 'no_change' })
  await expect(stat(join(sandbox.attempt, 'work.bundle'))).rejects.toThrow('ENOENT')
})

test('a stale bundle of an earlier turn is never taken for the new one', async () => {
  await writeFile(join(workspace, 'new.txt'), 'n\n')
  await harvest()
  await rm(join(workspace, 'new.txt'))
  expect(await harvest()).toMatchObject({ changed: false })
  await expect(stat(join(sandbox.attempt, 'work.bundle'))).rejects.toThrow('ENOENT')
})

test.each([
  ['deleted', async () => rm(join(workspace, '.git'), { recursive: true })],
  [
    'a file',
    async () =>
      rename(join(workspace, '.git'), join(folder.path, 'x')).then(() =>
        writeFile(join(workspace, '.git'), 'gitdir: /etc\n'),
      ),
  ],
  [
    'a link',
    async () =>
      rename(join(workspace, '.git'), join(folder.path, 'x')).then(() =>
        symlink('/etc', join(workspace, '.git')),
      ),
  ],
  ['without objects', async () => rm(join(workspace, '.git/objects'), { recursive: true })],
  ['full of broken objects', async () => breakObjects()],
  [
    'with a named pipe for an object',
    async () => {
      const path = join(workspace, '.git/objects', remote.commit.slice(0, 2))
      await rm(join(workspace, '.git/objects'), { recursive: true })
      await mkdir(path, { recursive: true })
      execFileSync('mkfifo', [join(path, remote.commit.slice(2))])
    },
  ],
  [
    'with a named pipe for a configuration',
    async () => {
      await rm(join(workspace, '.git/config'))
      execFileSync('mkfifo', [join(workspace, '.git/config')])
    },
  ],
])('work survives a .git that is %s', async (_how, breakIt) => {
  await writeFile(join(workspace, 'new.txt'), 'n\n')
  await breakIt()
  const note = await harvest()
  expect(note.files).toEqual(['new.txt'])
  expect(await filesAt(note.commit)).toEqual(['.gitignore', 'new.txt', 'readme.txt', 'src/a.txt'])
})

async function breakObjects(): Promise<void> {
  const objects = join(workspace, '.git', 'objects')
  for (const name of await readdir(objects, { recursive: true, withFileTypes: true })) {
    if (!name.isFile()) continue
    const path = join(name.parentPath, name.name)
    await chmod(path, 0o600)
    await writeFile(path, 'garbage')
  }
}

test('hooks, filters, monitors, attributes and excludes of the agent change nothing about what is collected', async () => {
  const ran = join(folder.path, 'ran')
  const dotGit = join(workspace, '.git')
  for (const [name, value] of [
    ['core.fsmonitor', `touch ${ran}`],
    ['core.hooksPath', '.hooks'],
    ['filter.evil.clean', `touch ${ran}; echo replaced`],
    ['filter.evil.smudge', `touch ${ran}`],
    ['filter.evil.required', 'true'],
    ['core.excludesFile', join(folder.path, 'excludes')],
    ['core.worktree', '/etc'],
    ['core.bare', 'true'],
    ['user.name', 'Somebody Else'],
  ] as const) {
    await git(folder.path, 'config', '--file', join(dotGit, 'config'), name, value)
  }
  await writeFile(join(folder.path, 'excludes'), '*\n')
  await mkdir(join(dotGit, 'info'), { recursive: true })
  await writeFile(join(dotGit, 'info', 'exclude'), '*\n')
  await writeFile(join(dotGit, 'info', 'attributes'), '* filter=evil\n')
  await writeFile(join(workspace, '.gitattributes'), '* filter=evil\n')
  await mkdir(join(workspace, '.hooks'))
  await writeFile(join(workspace, '.hooks', 'pre-commit'), `#!/bin/sh\ntouch ${ran}\nexit 1\n`, {
    mode: 0o755,
  })
  await writeFile(join(workspace, 'new.txt'), 'as the agent left it\n')
  const note = await harvest()
  expect(note.files.sort()).toEqual(['.gitattributes', '.hooks/pre-commit', 'new.txt'])
  const bytes = await mirror.readFileAt({ commit: note.commit, path: 'new.txt' }, signal)
  expect(Buffer.from(bytes ?? []).toString()).toBe('as the agent left it\n')
  await expect(stat(ran)).rejects.toThrow('ENOENT')
})

test('files of repositories made inside the workspace come home as files', async () => {
  const inner = join(workspace, 'packages', 'new')
  await mkdir(join(inner, 'deeper'), { recursive: true })
  await git(inner, 'init', '--quiet')
  await writeFile(join(inner, 'file.txt'), 'f\n')
  await git(join(inner, 'deeper'), 'init', '--quiet')
  await writeFile(join(inner, 'deeper', 'deep.txt'), 'd\n')
  await git(join(workspace, 'src'), 'init', '--quiet')
  await writeFile(join(workspace, 'src', 'b.txt'), 'b\n')
  await mkdir(join(workspace, 'empty'))
  await git(join(workspace, 'empty'), 'init', '--quiet')
  const note = await harvest()
  expect(await filesAt(note.commit)).toEqual([
    '.gitignore',
    'packages/new/deeper/deep.txt',
    'packages/new/file.txt',
    'readme.txt',
    'src/a.txt',
    'src/b.txt',
  ])
  expect(note.warnings.join()).toContain('packages/new')
})

test('pipes, sockets, unreadable files and folders, and names of any bytes do not stop the work', async () => {
  execFileSync('mkfifo', [
    join(workspace, 'pipe'),
    join(workspace, 'src/.gitignore'),
    join(workspace, '.gitattributes'),
  ])
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(join(workspace, 'socket'), resolve))
  await mkdir(join(workspace, 'locked/in'), { recursive: true })
  await writeFile(join(workspace, 'locked/in/file.txt'), 'x')
  await writeFile(join(workspace, 'secret.txt'), 'x')
  await chmod(join(workspace, 'secret.txt'), 0o000)
  await chmod(join(workspace, 'locked/in'), 0o000)
  await chmod(join(workspace, 'locked'), 0o000)
  await writeFile(join(workspace, 'new\nline'), 'x')
  await writeFile(join(workspace, '--exec=evil'), 'x')
  await writeFile(join(workspace, ':(exclude)*'), 'x')
  await writeFile(Buffer.concat([Buffer.from(`${workspace}/bad`), Buffer.of(0xff, 0xfe)]), 'x')
  await symlink('/etc/passwd', join(workspace, 'link'))
  await symlink('loop', join(workspace, 'loop'))
  const note = await harvest()
  server.close()
  expect(note.fileCount).toBe(8)
  expect(note.files).toEqual(
    expect.arrayContaining([
      'new\nline',
      '--exec=evil',
      ':(exclude)*',
      'locked/in/file.txt',
      'secret.txt',
      'link',
      'loop',
    ]),
  )
  expect(note.warnings.join()).toContain('pipe')
})

test('names that git must never hold are left out and said, the rest comes home', async () => {
  await mkdir(join(workspace, '.GIT'))
  await writeFile(join(workspace, '.GIT/config'), 'x')
  await writeFile(join(workspace, 'git~1'), 'x')
  await writeFile(join(workspace, 'fine.txt'), 'x')
  const note = await harvest()
  expect(note.files).toEqual(['fine.txt'])
  expect(note.warnings.join()).toContain('.GIT/config')
})

test('thousands of files come home; more than allowed are refused with advice', async () => {
  await mkdir(join(workspace, 'many'))
  const names = Array.from({ length: 3_000 }, (_, index) => join(workspace, 'many', `f${index}`))
  for (const name of names) await writeFile(name, name)
  expect(await harvest()).toMatchObject({ changed: true, fileCount: 3_000 })
  const few = { ...harvestArguments(remote.commit), newFileCountMax: 2_999 }
  const done = await runWorkspace(sandbox, 'harvest', few)
  expect(done).toMatchObject({ code: 1, stderr: expect.stringContaining('ignored?') })
  await expect(stat(join(sandbox.attempt, 'work.bundle'))).rejects.toThrow('ENOENT')
})

test('a submodule stays what it is, whatever the agent puts in its place', async () => {
  const base = await commitTo(remote.path, 'main', {}, async (clone) => {
    await git(clone, 'update-index', '--add', '--cacheinfo', `160000,${'1'.repeat(40)},vendor`)
    await git(clone, 'commit', '--quiet', '-m', 'submodule')
    await writeFile(join(clone, 'after.txt'), 'x')
    await mkdir(join(clone, 'vendor'))
  })
  const mirrors = createMirrors({ mirrorsDir: join(folder.path, 'mirrors'), run: runProcess })
  const project = { projectId: 'prj_1' as ProjectId, repositoryUrl: remote.path, defaultBranch: 'main' }
  mirror = await mirrors.ensure(project, signal)
  const other = await makeSandboxFolders(join(folder.path, 'with-submodule'))
  await mirror.exportBundle({ commit: base, path: join(other.attempt, 'repo.bundle') }, signal)
  expect(await runWorkspace(other, 'open', openArguments(base))).toMatchObject({ code: 0 })
  await writeFile(join(other.workspace, 'vendor', 'patched.txt'), 'x')
  await writeFile(join(other.workspace, 'new.txt'), 'n')
  expect(await runWorkspace(other, 'harvest', harvestArguments(base))).toMatchObject({ code: 0 })
  const note = JSON.parse(await readFile(join(other.attempt, 'work.json'), 'utf8')) as Note
  expect(note.files).toEqual(['new.txt'])
  const path = join(other.attempt, 'work.bundle')
  const outcome = await mirror.importBundle(
    { path, ref: 'refs/swarm/run_1/build/0/1', expectedBase: base },
    signal,
  )
  expect(outcome).toMatchObject({ kind: 'imported', findings: [] })
  const mirrorDir = join(folder.path, 'mirrors', 'prj_1.git')
  expect(await git(mirrorDir, 'ls-tree', note.commit, 'vendor')).toContain(`160000 commit ${'1'.repeat(40)}`)
})

test('a workspace whose user may not read its files is collected by that user', async () => {
  if (process.getuid?.() !== 0) return expect(process.getuid?.()).not.toBe(0)
  const nobody = { uid: 65_534, gid: 65_534 }
  await writeFile(join(workspace, 'secret.txt'), 'x')
  await mkdir(join(workspace, 'locked/in'), { recursive: true })
  await writeFile(join(workspace, 'locked/in/file.txt'), 'x')
  await chmod(folder.path, 0o711)
  execFileSync('chown', ['-R', '65534:65534', sandbox.root])
  await chmod(join(workspace, 'secret.txt'), 0o000)
  await chmod(join(workspace, 'locked/in'), 0o000)
  await chmod(join(workspace, 'locked'), 0o000)
  const done = await runWorkspace(sandbox, 'harvest', harvestArguments(remote.commit), nobody)
  expect(done).toEqual({ code: 0, stderr: '' })
  const note = JSON.parse(await readFile(join(sandbox.attempt, 'work.json'), 'utf8')) as Note
  expect(note.files.sort()).toEqual(['locked/in/file.txt', 'secret.txt'])
})

test('everything deleted is a change; a workspace that is gone is an error', async () => {
  for (const name of ['readme.txt', 'src', '.gitignore']) await rm(join(workspace, name), { recursive: true })
  expect((await harvest()).files.sort()).toEqual(['.gitignore', 'readme.txt', 'src/a.txt'])
  await rename(workspace, `${workspace}-away`)
  await symlink('/etc', workspace)
  const done = await runWorkspace(sandbox, 'harvest', harvestArguments(remote.commit))
  expect(done).toMatchObject({ code: 1, stderr: expect.stringContaining('no directory any more') })
})

test('the note and the bundle never follow a link that the agent left in their place', async () => {
  const victim = join(folder.path, 'victim')
  await writeFile(victim, 'untouched')
  await symlink(victim, join(sandbox.attempt, 'work.json'))
  await symlink(victim, join(sandbox.attempt, 'work.bundle'))
  await writeFile(join(workspace, 'new.txt'), 'n\n')
  await harvest()
  expect(await readFile(victim, 'utf8')).toBe('untouched')
})
