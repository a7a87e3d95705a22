import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { firstLine, runGit, splitZero, toOneLine } from './git-inside.ts'
import { makeReadable, WorkspaceRefusal } from './workspace-files.ts'

const NESTED_COUNT_MAX = 200
const NESTED_DEPTH_MAX = 8

type Workshop = { readonly home: string; readonly gitDir: string }
type Collected = { readonly tree: string; readonly warnings: readonly string[] }

/**
 * The tree of what a directory holds now: changed, new and deleted files, minus what its ignore files say. A
 * repository that the agent made inside it gives its files, not a link to a commit that nobody else has.
 */
export function toTree(
  workshop: Workshop,
  from: {
    readonly workspace: string
    readonly newFileCountMax: number
    readonly base?: string
    readonly depth?: number
  },
): Collected {
  const { home, gitDir } = workshop
  const indexFile = join(home, `index-${randomUUID()}`)
  const inside = { gitDir, workTree: from.workspace, indexFile }
  runGit(home, from.base === undefined ? ['read-tree', '--empty'] : ['read-tree', from.base], inside)
  const untracked = splitZero(
    runGit(home, ['ls-files', '--others', '--exclude-standard', '-z'], inside).stdout,
  )
  if (untracked.length > from.newFileCountMax) {
    throw new WorkspaceRefusal(
      `${untracked.length} new files, ${from.newFileCountMax} are allowed: are build results ignored?`,
    )
  }
  const nested = untracked.filter((name) => name.at(-1) === 0x2f).map((name) => name.subarray(0, -1))
  const warnings = addAll(home, inside, nested)
  for (const directory of nested) {
    warnings.push(...addNested(workshop, inside, { ...from, directory, count: nested.length }))
  }
  return { tree: firstLine(runGit(home, ['write-tree'], inside)), warnings }
}

type Inside = { readonly gitDir: string; readonly workTree: string; readonly indexFile: string }

/** Adds everything but the nested repositories; what cannot be added is said and left out. */
function addAll(home: string, inside: Inside, nested: readonly Buffer[]): string[] {
  const excluded = nested.map((name) =>
    Buffer.concat([Buffer.from(':(top,exclude,literal)'), name, Buffer.of(0)]),
  )
  const call = { ...inside, input: Buffer.concat([Buffer.from('.\0'), ...excluded]), answers: [0, 1] }
  const args = ['add', '--all', '--ignore-errors', '--pathspec-from-file=-', '--pathspec-file-nul']
  const first = runGit(home, args, call)
  if (first.code === 0) return []
  makeReadable(inside.workTree)
  const second = runGit(home, args, call)
  const complaints = second.stderr.split('\n').filter((line) => /^(error|warning|fatal):/.test(line))
  return second.code === 0 ? [] : complaints.map((line) => `left out: ${toOneLine(line)}`)
}

function addNested(
  workshop: Workshop,
  inside: Inside,
  nested: {
    readonly workspace: string
    readonly newFileCountMax: number
    readonly directory: Buffer
    readonly count: number
    readonly depth?: number
  },
): string[] {
  const name = nested.directory.toString('utf8')
  const depth = (nested.depth ?? 0) + 1
  const isName = Buffer.from(name).equals(nested.directory)
  if (!isName || depth > NESTED_DEPTH_MAX || nested.count > NESTED_COUNT_MAX) {
    return [`left out, a repository inside the workspace: ${toOneLine(name)}`]
  }
  const { tree, warnings } = toTree(workshop, {
    workspace: join(nested.workspace, name),
    newFileCountMax: nested.newFileCountMax,
    depth,
  })
  const isEmpty = runGit(workshop.home, ['ls-tree', tree], inside).stdout.length === 0
  if (!isEmpty) runGit(workshop.home, ['read-tree', `--prefix=${name}/`, tree], inside)
  return [`the files of a repository inside the workspace were taken: ${toOneLine(name)}`, ...warnings]
}
