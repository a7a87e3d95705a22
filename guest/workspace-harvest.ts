import { lstatSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { firstLine, runGit, splitZero, toOneLine } from './git-inside.ts'
import type { HarvestArguments } from './workspace-arguments.ts'
import { assertPlainFiles, makeReadable, WorkspaceRefusal, walkWorkspace } from './workspace-files.ts'
import { fetchBase } from './workspace-open.ts'
import { toTree } from './workspace-tree.ts'

const WORK_REF = 'refs/swarm/work'
const NAME_COUNT_MAX = 2_000
const WARNING_COUNT_MAX = 50
/** The agent's objects are only looked at briefly: what is wrong with them must not take long. */
const PROBE_TIMEOUT_MS = 20_000

type Workshop = { readonly home: string; readonly gitDir: string }

/**
 * Makes one commit of everything in the workspace, on top of the base, and bundles it. The repository for this is
 * new and lies elsewhere, so the workspace's `.git` may be broken, hostile or gone: at most its objects are used,
 * to save unpacking the base again, and when anything about them fails the base's own bundle is.
 */
export function harvestWorkspace(harvest: HarvestArguments): void {
  if (lstatSync(harvest.workspace, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new Error(`${harvest.workspace} is no directory any more`)
  }
  rmSync(harvest.bundle, { force: true, recursive: true })
  rmSync(harvest.note, { force: true, recursive: true })
  const walked = walkWorkspace(harvest.workspace)
  const warnings = [...walked.warnings]
  let note: Note
  try {
    note = withWorkshop(harvest, borrowObjects, (workshop) => makeWork(workshop, harvest, warnings))
  } catch (error) {
    if (error instanceof WorkspaceRefusal) throw error
    makeReadable(harvest.workspace)
    note = withWorkshop(harvest, unpackBase, (workshop) => makeWork(workshop, harvest, warnings))
  }
  const shown = [...new Set(warnings)].slice(0, WARNING_COUNT_MAX)
  writeAside(harvest.note, `${JSON.stringify({ ...note, warnings: shown })}\n`)
}

type Note =
  | { readonly changed: false; readonly reason: 'no_change'; readonly base: string }
  | {
      readonly changed: true
      readonly base: string
      readonly commit: string
      /** Names as text; bytes that are not UTF-8 are replaced */
      readonly files: readonly string[]
      readonly fileCount: number
      readonly insertions: number
      readonly deletions: number
    }

function makeWork(workshop: Workshop, harvest: HarvestArguments, warnings: string[]): Note {
  const { home, gitDir } = workshop
  const { base, workspace, newFileCountMax } = harvest
  const collected = toTree(workshop, { workspace, base, newFileCountMax })
  warnings.push(...collected.warnings)
  const before = firstLine(runGit(home, ['rev-parse', '--verify', `${base}^{tree}`], { gitDir }))
  if (collected.tree === before) return { changed: false, reason: 'no_change', base }
  const commit = writeCommit(workshop, harvest, collected.tree)
  runGit(home, ['update-ref', WORK_REF, commit], { gitDir })
  const unfinished = join(home, 'work.bundle')
  runGit(home, ['bundle', 'create', '--quiet', unfinished, WORK_REF, `^${base}`], { gitDir })
  renameSync(unfinished, harvest.bundle)
  return { changed: true, base, commit, ...countChanges(workshop, base, commit) }
}

function writeCommit({ home, gitDir }: Workshop, harvest: HarvestArguments, tree: string): string {
  const trailers = Object.entries(harvest.trailers).map(([name, text]) => `${name}: ${text}\n`)
  const text = harvest.message.replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, '').trim() || 'Work'
  const { name, email } = harvest.author
  const answer = runGit(home, ['commit-tree', tree, '-p', harvest.base, '-F', '-'], {
    gitDir,
    input: `${text}\n\n${trailers.join('')}`,
    env: {
      GIT_AUTHOR_NAME: name,
      GIT_AUTHOR_EMAIL: email,
      GIT_COMMITTER_NAME: name,
      GIT_COMMITTER_EMAIL: email,
    },
  })
  return firstLine(answer)
}

function countChanges({ home, gitDir }: Workshop, base: string, commit: string) {
  const args = [
    'diff-tree',
    '-r',
    '-z',
    '--numstat',
    '--no-renames',
    '--no-ext-diff',
    '--no-textconv',
    base,
    commit,
  ]
  const records = splitZero(runGit(home, args, { gitDir }).stdout).map((record) => record.toString('utf8'))
  let insertions = 0
  let deletions = 0
  const files = records.map((record) => {
    const [added = '', removed = '', ...name] = record.split('\t')
    insertions += Number(added) || 0
    deletions += Number(removed) || 0
    return name.join('\t')
  })
  return { files: files.slice(0, NAME_COUNT_MAX), fileCount: files.length, insertions, deletions }
}

function withWorkshop<T>(
  harvest: HarvestArguments,
  provideBase: (workshop: Workshop, harvest: HarvestArguments) => void,
  work: (workshop: Workshop) => T,
): T {
  const home = mkdtempSync(join(dirname(harvest.bundle), '.harvest-'))
  try {
    const workshop = { home, gitDir: join(home, 'work.git') }
    runGit(home, ['init', '--quiet', '--bare', '--template=', '--', workshop.gitDir])
    provideBase(workshop, harvest)
    return work(workshop)
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

/** The quick way: the workspace's own objects, read through an alternate. */
function borrowObjects({ home, gitDir }: Workshop, { workspace, base }: HarvestArguments): void {
  const objects = join(workspace, '.git', 'objects')
  const isPlain = [join(workspace, '.git'), objects].every(
    (path) => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true,
  )
  if (!isPlain || /["\n]/.test(objects)) throw new Error('the workspace has no repository of its own')
  assertPlainFiles(objects)
  mkdirSync(join(gitDir, 'objects', 'info'), { recursive: true })
  writeFileSync(join(gitDir, 'objects', 'info', 'alternates'), `${objects}\n`)
  const probe = { gitDir, timeoutMs: PROBE_TIMEOUT_MS }
  const content = runGit(home, ['cat-file', 'commit', base], probe).stdout
  const hash = firstLine(
    runGit(home, ['hash-object', '-t', 'commit', '--stdin'], { ...probe, input: content }),
  )
  if (hash !== base) throw new Error(`the workspace's repository is damaged: ${toOneLine(hash)}`)
  runGit(home, ['ls-tree', '-r', '-t', '--full-tree', '--name-only', base], probe)
}

function unpackBase({ home, gitDir }: Workshop, { baseBundle, base }: HarvestArguments): void {
  fetchBase(home, gitDir, baseBundle, base)
}

/** Replaces whatever stands at the path, a link included, without following it. */
function writeAside(path: string, text: string): void {
  const directory = mkdtempSync(join(dirname(path), '.note-'))
  try {
    writeFileSync(join(directory, 'note'), text, { flag: 'wx' })
    renameSync(join(directory, 'note'), path)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
