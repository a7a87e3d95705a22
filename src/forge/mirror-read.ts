import type { MirrorRepository } from './bare-mirror.ts'
import { ForgeError } from './contract.ts'
import { firstLine, splitZero } from './git-command.ts'
import type { CommitHash, LogEntry } from './mirror-contract.ts'
import { toPrintableName } from './printable.ts'

const FILE_BYTES_MAX = 1024 * 1024
const LOG_COUNT_MAX = 100

export async function resolveCommit(
  { git, gitDir }: MirrorRepository,
  refOrCommit: string,
  signal: AbortSignal,
): Promise<CommitHash | undefined> {
  if (!isCommitHash(refOrCommit) && !/^refs\/[A-Za-z0-9_=./-]+$/.test(refOrCommit)) return undefined
  const result = await git({
    attempt: 'resolve a commit',
    args: ['rev-parse', '--verify', '--quiet', '--end-of-options', `${refOrCommit}^{commit}`],
    gitDir,
    signal,
    answers: [0, 1, 128],
  })
  const commit = firstLine(result)
  return result.code === 0 && isCommitHash(commit) ? commit : undefined
}

export async function mergeBase(
  { git, gitDir }: MirrorRepository,
  a: CommitHash,
  b: CommitHash,
  signal: AbortSignal,
): Promise<CommitHash | undefined> {
  const args = ['merge-base', assertCommit(a), assertCommit(b)]
  const result = await git({ attempt: 'find a merge base', args, gitDir, signal, answers: [0, 1] })
  return result.code === 0 ? firstLine(result) : undefined
}

export async function isAncestor(
  { git, gitDir }: MirrorRepository,
  ancestor: CommitHash,
  descendant: CommitHash,
  signal: AbortSignal,
): Promise<boolean> {
  const args = ['merge-base', '--is-ancestor', assertCommit(ancestor), assertCommit(descendant)]
  const result = await git({ attempt: 'compare two commits', args, gitDir, signal, answers: [0, 1] })
  return result.code === 0
}

export async function readFileAt(
  { git, gitDir }: MirrorRepository,
  input: { readonly commit: CommitHash; readonly path: string; readonly bytesMax?: number },
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  const entry = await findEntry({ git, gitDir }, input.commit, assertPath(input.path), signal)
  if (entry === undefined || !entry.mode.startsWith('100')) return undefined
  const bytesMax = input.bytesMax ?? FILE_BYTES_MAX
  const result = await git({
    attempt: `read ${input.path}`,
    args: ['cat-file', 'blob', entry.object],
    gitDir,
    signal,
    outputBytesMax: bytesMax + 1,
  })
  if (result.truncated || result.stdout.length > bytesMax) {
    throw new ForgeError('repository_refused', `${input.path} is larger than ${bytesMax} bytes`)
  }
  return result.stdout
}

export async function listFilesAt(
  { git, gitDir }: MirrorRepository,
  input: { readonly commit: CommitHash; readonly directory: string },
  signal: AbortSignal,
): Promise<readonly string[]> {
  const args = [
    'ls-tree',
    '-z',
    '--full-tree',
    assertCommit(input.commit),
    '--',
    `${assertPath(input.directory)}/`,
  ]
  const { stdout } = await git({ attempt: `list ${input.directory}`, args, gitDir, signal })
  const directory = `${input.directory}/`
  return splitZero(stdout)
    .map((line) => line.toString('utf8'))
    .filter((line) => line.startsWith('100'))
    .map((line) => line.slice(line.indexOf('\t') + 1 + directory.length))
}

export async function log(
  { git, gitDir }: MirrorRepository,
  input: { readonly from?: CommitHash; readonly to: CommitHash; readonly countMax?: number },
  signal: AbortSignal,
): Promise<readonly LogEntry[]> {
  const countMax = input.countMax ?? LOG_COUNT_MAX
  const range = input.from === undefined ? [] : [`^${assertCommit(input.from)}`]
  const args = [
    'log',
    '-z',
    `--max-count=${countMax}`,
    '--format=%H%x1f%P%x1f%ct%x1f%an%x1f%s',
    assertCommit(input.to),
    ...range,
    '--',
  ]
  const { stdout } = await git({ attempt: 'read the history', args, gitDir, signal })
  return splitZero(stdout).map((record) => {
    const [commit = '', parents = '', seconds = '', author = '', ...subject] = record
      .toString('utf8')
      .split('\x1f')
    return {
      commit,
      parents: parents.split(' ').filter((parent) => parent !== ''),
      committedAt: Number(seconds) * 1000,
      authorName: toPrintableName(Buffer.from(author)),
      subject: toPrintableName(Buffer.from(subject.join('\x1f'))).slice(0, 500),
    }
  })
}

export function isCommitHash(text: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text)
}

/** A hash and nothing else may stand where git reads expressions and options. */
export function assertCommit(commit: string): CommitHash {
  if (!isCommitHash(commit)) throw new Error(`not a commit hash: ${JSON.stringify(commit.slice(0, 80))}`)
  return commit
}

function assertPath(path: string): string {
  const parts = path.split('/')
  if (
    path === '' ||
    path.includes('\0') ||
    parts.some((part) => part === '' || part === '.' || part === '..')
  ) {
    throw new Error(`not a path inside a repository: ${JSON.stringify(path.slice(0, 200))}`)
  }
  return path
}

async function findEntry(
  { git, gitDir }: Pick<MirrorRepository, 'git' | 'gitDir'>,
  commit: CommitHash,
  path: string,
  signal: AbortSignal,
) {
  const args = ['ls-tree', '-z', '--full-tree', assertCommit(commit), '--', path]
  const { stdout } = await git({ attempt: `find ${path}`, args, gitDir, signal })
  const [line] = splitZero(stdout)
  const match = line === undefined ? null : /^(\d+) (\w+) ([0-9a-f]+)\t/.exec(line.toString('utf8'))
  return match === null ? undefined : { mode: match[1] ?? '', object: match[3] ?? '' }
}
