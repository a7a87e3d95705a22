import { chmod, mkdir, open, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ProjectId } from '../../src/domain/id.ts'
import type { ImportBundle, Mirror } from '../../src/forge/mirror-contract.ts'
import { createMirrors } from '../../src/forge/mirrors.ts'
import { runProcess } from '../../src/platform/process.ts'
import { commitTo, git, makeRemote, makeTemporaryFolder } from '../support/git-repository.ts'

const REF = 'refs/swarm/run_1/build/0/1'
// Each test has its own deadline; one for the whole file would fail the last ones on a slow machine.
const { signal } = new AbortController()

let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>
let remote: { path: string; commit: string }
let mirror: Mirror
let clone: string
let bundle: string

beforeEach(async () => {
  folder = await makeTemporaryFolder()
  remote = await makeRemote(join(folder.path, 'web.git'), { 'readme.txt': 'hello\n', 'src/a.txt': 'a\n' })
  const mirrors = createMirrors({ mirrorsDir: join(folder.path, 'mirrors'), run: runProcess })
  const project = { projectId: 'prj_1' as ProjectId, repositoryUrl: remote.path, defaultBranch: 'main' }
  mirror = await mirrors.ensure(project, signal)
  clone = join(folder.path, 'clone')
  bundle = join(folder.path, 'work.bundle')
  await git(folder.path, 'clone', '--quiet', remote.path, clone)
})
afterEach(async () => {
  await folder[Symbol.asyncDispose]()
})

/** A bundle of the clone's HEAD, as some program inside a sandbox might make it. */
async function makeBundle(...revisions: string[]): Promise<string> {
  await git(clone, 'update-ref', 'refs/swarm/work', 'HEAD')
  const range = revisions.length === 0 ? ['refs/swarm/work', `^${remote.commit}`] : revisions
  await git(clone, 'bundle', 'create', '--quiet', bundle, ...range)
  return await git(clone, 'rev-parse', 'HEAD')
}

async function commit(files: Record<string, string> = {}): Promise<string> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(clone, name)), { recursive: true })
    await writeFile(join(clone, name), content)
  }
  await git(clone, 'add', '--all')
  await git(clone, 'commit', '--quiet', '--allow-empty', '-m', 'work')
  return await git(clone, 'rev-parse', 'HEAD')
}

const take = (more: Partial<ImportBundle> = {}) =>
  mirror.importBundle({ path: bundle, ref: REF, expectedBase: remote.commit, ...more }, signal)

/** A commit with a tree written by hand, past all that git itself would refuse. */
async function commitTree(
  entries: readonly { mode: string; name: string; content: string }[],
): Promise<void> {
  const lines = await Promise.all(
    entries.map(async ({ mode, name, content }) => {
      const path = join(folder.path, 'content')
      await writeFile(path, content)
      return { mode, name, object: await git(clone, 'hash-object', '-w', '--no-filters', path) }
    }),
  )
  const raw = Buffer.concat(
    lines.map(({ mode, name, object }) =>
      Buffer.concat([Buffer.from(`${mode.replace(/^0/, '')} ${name}\0`), Buffer.from(object, 'hex')]),
    ),
  )
  await writeFile(join(folder.path, 'tree'), raw)
  const tree = await git(clone, 'hash-object', '-w', '--literally', '-t', 'tree', join(folder.path, 'tree'))
  const made = await git(clone, 'commit-tree', '-p', remote.commit, '-m', 'by hand', tree)
  await git(clone, 'update-ref', 'refs/heads/main', made)
}

describe('work comes home', () => {
  test('U8: verification sees the commit that the run produced', async () => {
    const made = await commit({ 'src/b.txt': 'b\n' })
    await makeBundle()
    expect(await take({ expectedCommit: made })).toMatchObject({
      kind: 'imported',
      commit: made,
      findings: [],
    })
    expect(await mirror.resolve(REF, signal)).toBe(made)

    const out = join(folder.path, 'verify.bundle')
    await mirror.exportBundle({ commit: made, path: out }, signal)
    await git(folder.path, 'init', '--quiet', 'verify')
    await git(join(folder.path, 'verify'), 'fetch', '--quiet', out, 'refs/swarm/base:refs/heads/check')
    expect(await git(join(folder.path, 'verify'), 'rev-parse', 'check')).toBe(made)
    expect(await git(join(folder.path, 'verify'), 'show', 'check:src/b.txt')).toBe('b')
  })

  test('repeating an import changes nothing, and a later harvest of the attempt replaces the earlier', async () => {
    const first = await commit({ 'b.txt': 'b\n' })
    await makeBundle()
    expect(await take()).toMatchObject({ kind: 'imported', commit: first })
    expect(await take()).toMatchObject({ kind: 'imported', commit: first })
    await git(clone, 'reset', '--quiet', '--hard', remote.commit)
    const second = await commit({ 'c.txt': 'c\n' })
    await makeBundle()
    expect(await take()).toMatchObject({ kind: 'imported', commit: second })
    expect(await mirror.resolve(REF, signal)).toBe(second)
    expect(await mirror.resolve(first, signal)).toBe(first)
  })

  test('no change is said and keeps nothing', async () => {
    await commit()
    await makeBundle()
    expect(await take()).toEqual({ kind: 'no-change' })
    expect(await mirror.resolve(REF, signal)).toBeUndefined()
  })

  test('a thin bundle of a changed large file comes home', async () => {
    const large = Array.from({ length: 5_000 }, (_, line) => `line ${line} ${line * 7919}`).join('\n')
    await commitTo(remote.path, 'main', { 'large.txt': large })
    await git(clone, 'pull', '--quiet')
    const base = await git(clone, 'rev-parse', 'HEAD')
    const mirrors = createMirrors({ mirrorsDir: join(folder.path, 'mirrors'), run: runProcess })
    mirror = await mirrors.ensure(
      { projectId: 'prj_1' as ProjectId, repositoryUrl: remote.path, defaultBranch: 'main' },
      signal,
    )
    const made = await commit({ 'large.txt': `${large}\nmore` })
    await makeBundle('refs/swarm/work', `^${base}`)
    expect((await readFile(bundle)).length).toBeLessThan(5_000)
    expect(await take({ expectedBase: base })).toMatchObject({ kind: 'imported', commit: made })
  })

  test('a bundle shows one history and no other ticket', async () => {
    const other = await commit({ 'other.txt': 'another ticket\n' })
    await makeBundle()
    await take({ ref: 'refs/swarm/run_2/build/0/1' })
    const out = join(folder.path, 'out.bundle')
    await mirror.exportBundle({ commit: remote.commit, path: out }, signal)
    expect(await git(folder.path, 'bundle', 'list-heads', out)).toBe(`${remote.commit} refs/swarm/base`)
    await git(folder.path, 'init', '--quiet', 'sandbox')
    await git(join(folder.path, 'sandbox'), 'fetch', '--quiet', out, 'refs/swarm/base')
    await expect(git(join(folder.path, 'sandbox'), 'cat-file', '-e', other)).rejects.toThrow()
  })
})

describe('a hostile bundle is refused', () => {
  test('too large, not a bundle, cut off, absent', async () => {
    await commit({ 'b.txt': 'b\n'.repeat(1_000) })
    await makeBundle()
    expect(await take({ bytesMax: 10 })).toMatchObject({ kind: 'refused', code: 'too_large' })
    const whole = await readFile(bundle)
    await writeFile(bundle, 'not a bundle')
    expect(await take()).toMatchObject({ kind: 'refused', code: 'not_a_bundle' })
    await writeFile(bundle, whole.subarray(0, whole.length - 30))
    expect(await take()).toMatchObject({ kind: 'refused', code: 'corrupt' })
    const file = await open(bundle, 'w')
    await file.write(whole)
    await file.write(Buffer.from([1, 2, 3]), 0, 3, whole.length - 60)
    await file.close()
    expect(await take()).toMatchObject({ kind: 'refused', code: 'corrupt' })
    expect(await take({ path: join(folder.path, 'absent') })).toMatchObject({ code: 'not_a_bundle' })
    expect(await take({ path: folder.path })).toMatchObject({ code: 'not_a_bundle' })
  })

  test('several heads, another commit than announced, another base', async () => {
    const made = await commit({ 'b.txt': 'b\n' })
    await makeBundle()
    expect(await take({ expectedCommit: remote.commit })).toMatchObject({ code: 'unexpected_commit' })
    await makeBundle('refs/swarm/work', 'refs/heads/main', `^${remote.commit}`)
    expect(await take()).toMatchObject({ kind: 'refused', code: 'unexpected_heads' })

    await git(clone, 'checkout', '--quiet', '--orphan', 'elsewhere')
    await commit({ 'x.txt': 'x\n' })
    await makeBundle('refs/swarm/work')
    expect(await take()).toMatchObject({ kind: 'refused', code: 'unrelated_base' })

    await git(clone, 'checkout', '--quiet', '--detach', made)
    await commit({ 'c.txt': 'c\n' })
    await makeBundle('refs/swarm/work', `^${made}`)
    expect(await take()).toMatchObject({ kind: 'refused', code: 'unrelated_base' })
  })

  test.each(['.git', '.GIT', '.git.', 'git~1', '.g\u200cit'])('a tree with %j', async (name) => {
    await commitTree([{ mode: '100644', name, content: 'canary' }])
    await makeBundle()
    expect(await take()).toMatchObject({ kind: 'refused', code: 'forbidden_path' })
    expect(await mirror.resolve(REF, signal)).toBeUndefined()
  })

  test.each(['..', '.', 'a/b'])('a tree with %j', async (name) => {
    await commitTree([{ mode: '100644', name, content: 'canary' }])
    await makeBundle()
    expect(await take()).toMatchObject({ kind: 'refused' })
  })

  test("objects of another ticket's work cannot be pulled in by their names", async () => {
    await commit({ 'secret.txt': 'the other ticket knows\n' })
    await makeBundle()
    expect(await take({ ref: 'refs/swarm/run_2/build/0/1' })).toMatchObject({ kind: 'imported' })
    const secret = await git(clone, 'rev-parse', 'HEAD:secret.txt')

    // A tree that names the object, in a pack that does not carry it.
    await git(clone, 'read-tree', remote.commit)
    await git(clone, 'update-index', '--add', '--cacheinfo', `100644,${secret},stolen.txt`)
    const tree = await git(clone, 'write-tree')
    const thief = await git(clone, 'commit-tree', '-p', remote.commit, '-m', 'thief', tree)
    const listed = await git(clone, 'rev-list', '--objects', '--no-object-names', thief, `^${remote.commit}`)
    const objects = listed.split('\n').filter((object) => object !== secret)
    await writeFile(join(folder.path, 'objects'), `${objects.join('\n')}\n`)
    const packed = await runProcess({
      argv: ['git', '-C', clone, 'pack-objects', '--quiet', '--stdout'],
      stdin: `${objects.join('\n')}\n`,
      timeoutMs: 10_000,
      outputBytesMax: 1_000_000,
    })
    const header = `# v2 git bundle\n-${remote.commit} base\n${thief} refs/swarm/work\n\n`
    await writeFile(bundle, Buffer.concat([Buffer.from(header), packed.stdout]))
    expect(await take()).toMatchObject({ kind: 'refused', code: 'foreign_objects' })
  })

  test("another ticket's file cannot be had as the base of a delta", async () => {
    const large = Array.from({ length: 3_000 }, (_, line) => `secret ${line} ${line * 7919}`).join('\n')
    const secret = await commit({ 'secret.txt': large })
    await makeBundle()
    expect(await take({ ref: 'refs/swarm/run_2/build/0/1' })).toMatchObject({ kind: 'imported' })
    // Beside the other ticket's commit git makes a delta; the thief's commit is then put on the allowed base.
    const beside = await commit({ 'secret.txt': `${large}\nmore` })
    const thief = await git(clone, 'commit-tree', '-p', remote.commit, '-m', 'thief', `${beside}^{tree}`)
    const packed = await runProcess({
      argv: ['git', '-C', clone, 'pack-objects', '--quiet', '--stdout', '--thin', '--revs'],
      stdin: `${beside}\n${thief}\n^${secret}\n`,
      timeoutMs: 10_000,
      outputBytesMax: 1_000_000,
    })
    expect(packed.stdout.length).toBeLessThan(5_000)
    const header = `# v2 git bundle\n-${remote.commit} base\n${thief} refs/swarm/work\n\n`
    await writeFile(bundle, Buffer.concat([Buffer.from(header), packed.stdout]))
    expect(await take()).toMatchObject({ kind: 'refused', code: 'foreign_objects' })
  })

  test('nothing of a refused bundle stays', async () => {
    await commitTree([{ mode: '100644', name: '.git', content: 'canary' }])
    const made = await makeBundle()
    await take()
    expect(await mirror.resolve(made, signal)).toBeUndefined()
    expect(await readdir(join(folder.path, 'mirrors', '.scratch'))).toEqual([])
  })
})

describe('a reviewer is told', () => {
  test('symbolic links that leave the tree, submodules, LFS pointers, odd names', async () => {
    await symlink('/etc/passwd', join(clone, 'absolute'))
    await symlink('../../outside', join(clone, 'src', 'above'))
    await symlink('../.git/config', join(clone, 'src', 'into-git'))
    await symlink('../readme.txt', join(clone, 'src', 'inside'))
    const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n'
    await writeFile(join(clone, 'big.bin'), pointer)
    await writeFile(join(clone, 'new\nline\u001b[31m'), 'x')
    await writeFile(join(clone, '-rf'), 'x')
    await writeFile(Buffer.concat([Buffer.from(`${clone}/bad`), Buffer.of(0xff)]), 'x')
    await writeFile(join(clone, '.gitattributes'), '* filter=evil\n')
    await mkdir(join(clone, '.swarm'))
    await writeFile(join(clone, '.swarm', 'project.yaml'), 'checks: []\n')
    await git(clone, 'update-index', '--add', '--cacheinfo', `160000,${remote.commit},vendor`)
    await git(clone, 'add', '--all', '--', ':(exclude)vendor')
    await git(clone, 'commit', '--quiet', '-m', 'odd')
    await makeBundle()
    const outcome = await take()
    if (outcome.kind !== 'imported') throw new Error(JSON.stringify(outcome))
    const seen = outcome.findings.map(({ kind, path, detail }) => [kind, path, detail])
    expect(seen.sort()).toEqual(
      [
        ['symlink_outside', 'absolute', '/etc/passwd'],
        ['symlink_outside', 'src/above', '../../outside'],
        ['symlink_outside', 'src/into-git', '../.git/config'],
        ['lfs_pointer', 'big.bin', undefined],
        ['odd_name', 'new\\nline\\x1b[31m', undefined],
        ['odd_name', '-rf', undefined],
        ['odd_name', 'bad\\xff', undefined],
        ['attributes_changed', '.gitattributes', undefined],
        ['swarm_files_changed', '.swarm/project.yaml', undefined],
        ['submodule_changed', 'vendor', `commit ${remote.commit}`],
      ].sort(),
    )
    const diff = await mirror.diff({ from: remote.commit, to: outcome.commit }, signal)
    expect(diff.text).not.toContain('\u001b')
    expect(diff.files.map((file) => file.path)).toContain('bad\\xff')
  })

  test('a diff has a bound and says so', async () => {
    const made = await commit({ 'long.txt': 'line\n'.repeat(10_000), 'readme.txt': 'bye\n' })
    await makeBundle()
    await take()
    const diff = await mirror.diff({ from: remote.commit, to: made, textBytesMax: 1_000 }, signal)
    expect(diff).toMatchObject({ textTruncated: true, fileCount: 2, insertions: 10_001, deletions: 1 })
    expect(diff.text.length).toBeLessThanOrEqual(1_000)
    await git(clone, 'mv', 'long.txt', 'renamed.txt')
    const renamed = await commit()
    await makeBundle()
    await take()
    expect((await mirror.diff({ from: made, to: renamed }, signal)).files).toEqual([
      { status: 'renamed', previousPath: 'long.txt', path: 'renamed.txt', insertions: 0, deletions: 0 },
    ])
  })
})

test('files of the default branch are read at its commit, and nothing but files', async () => {
  const at = await commitTo(
    remote.path,
    'main',
    { '.swarm/project.yaml': 'checks: []\n', '.swarm/workflows/a.yaml': 'a', '.swarm/workflows/b.yaml': 'b' },
    async (path) => {
      await symlink('/etc/passwd', join(path, '.swarm', 'link'))
      await chmod(join(path, '.swarm'), 0o755)
    },
  )
  const mirrors = createMirrors({ mirrorsDir: join(folder.path, 'mirrors'), run: runProcess })
  const project = { projectId: 'prj_1' as ProjectId, repositoryUrl: remote.path, defaultBranch: 'main' }
  mirror = await mirrors.ensure(project, signal)
  const read = async (path: string, bytesMax?: number) => {
    const bytes = await mirror.readFileAt(
      { commit: at, path, ...(bytesMax === undefined ? {} : { bytesMax }) },
      signal,
    )
    return bytes && Buffer.from(bytes).toString()
  }
  expect(await read('.swarm/project.yaml')).toBe('checks: []\n')
  expect(await read('.swarm/link')).toBeUndefined()
  expect(await read('.swarm')).toBeUndefined()
  expect(await read('absent')).toBeUndefined()
  await expect(read('../x')).rejects.toThrow('not a path')
  await expect(read('.swarm/project.yaml', 3)).rejects.toMatchObject({ code: 'repository_refused' })
  expect(await mirror.listFilesAt({ commit: at, directory: '.swarm/workflows' }, signal)).toEqual([
    'a.yaml',
    'b.yaml',
  ])
  expect(await mirror.listFilesAt({ commit: at, directory: 'absent' }, signal)).toEqual([])
})

test('work of two steps is merged the same way each time, or its conflict is told', async () => {
  const ours = await commit({ 'ours.txt': 'o\n' })
  await makeBundle()
  await take()
  await git(clone, 'checkout', '--quiet', '--detach', remote.commit)
  const theirs = await commit({ 'theirs.txt': 't\n' })
  await makeBundle()
  await take({ ref: 'refs/swarm/run_1/build/1/1' })
  const ref = 'refs/swarm/run_1/merge/0/1'
  const merged = await mirror.mergeCommits({ ours, theirs, ref }, signal)
  expect(merged.kind).toBe('merged')
  expect(await mirror.mergeCommits({ ours, theirs, ref }, signal)).toEqual(merged)
  const { commit: made } = merged as { commit: string }
  expect(await mirror.resolve(ref, signal)).toBe(made)
  expect(await mirror.mergeCommits({ ours, theirs: made, ref }, signal)).toEqual({
    kind: 'merged',
    commit: made,
  })
  const entries = await mirror.log({ from: remote.commit, to: made }, signal)
  expect(entries.map((entry) => entry.subject)).toContain('Merge work of two steps')

  await git(clone, 'checkout', '--quiet', '--detach', remote.commit)
  const rival = await commit({ 'ours.txt': 'other\n' })
  await makeBundle()
  await take({ ref: 'refs/swarm/run_1/build/2/1' })
  expect(await mirror.mergeCommits({ ours, theirs: rival, ref }, signal)).toMatchObject({
    kind: 'conflict',
    files: ['ours.txt'],
  })
})

test('P13: nothing unpushed is deleted; it is parked on a ref first', async () => {
  const unpushed = await commit({ 'b.txt': 'b\n' })
  await makeBundle()
  await take()
  expect(await mirror.pruneRefs([REF], signal)).toEqual({
    deleted: [],
    parked: [{ ref: REF, parkedRef: 'refs/parked/run_1/build/0/1' }],
  })
  expect(await mirror.resolve(REF, signal)).toBeUndefined()
  await mirror.compact(signal)
  expect(await mirror.resolve('refs/parked/run_1/build/0/1', signal)).toBe(unpushed)
  expect(await mirror.resolve(unpushed, signal)).toBe(unpushed)

  await take()
  await git(clone, 'push', '--quiet', 'origin', `${unpushed}:refs/heads/swarm/web-1`)
  await mirror.fetchBranch('swarm/web-1', signal)
  expect(await mirror.pruneRefs([REF, 'refs/swarm/run_9/x/0/1'], signal)).toEqual({
    deleted: [REF],
    parked: [],
  })
  await expect(mirror.pruneRefs(['refs/parked/run_1/build/0/1'], signal)).rejects.toThrow(
    'not a ref of a run',
  )
  await expect(mirror.pruneRefs(['refs/remotes/origin/main'], signal)).rejects.toThrow('not a ref of a run')
})

test('other work parked under a taken name does not replace what is there', async () => {
  const name = 'run_1/build'
  const first = await mirror.park({ commit: remote.commit, name }, signal)
  const made = await commit({ 'b.txt': 'b\n' })
  await makeBundle()
  await take()
  const second = await mirror.park({ commit: made, name }, signal)
  expect(second).not.toBe(first)
  expect(await mirror.resolve(first, signal)).toBe(remote.commit)
  expect(await mirror.park({ commit: made, name }, signal)).toBe(second)
})
