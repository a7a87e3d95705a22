import type { MirrorRepository } from './bare-mirror.ts'
import type { CommitHash, MergeOutcome, MergePullRequest } from './contract.ts'
import { firstLine, splitZero } from './git-command.ts'
import { toDetail } from './git-trouble.ts'
import { assertCommit, isAncestor } from './mirror-read.ts'
import { toPrintableName } from './printable.ts'

const FILE_COUNT_MAX = 500

/** A merge commit of two commits, made of objects only: no work tree, no index, no merge program. */
export async function mergeCommits(
  { git, gitDir }: MirrorRepository,
  merge: {
    readonly base: CommitHash
    readonly head: CommitHash
    readonly message: string
    readonly actor: MergePullRequest['actor']
  },
  signal: AbortSignal,
): Promise<Exclude<MergeOutcome, { kind: 'already-merged' }>> {
  const { base, head } = merge
  const tried = await git({
    attempt: 'merge',
    args: [
      'merge-tree',
      '--write-tree',
      '-z',
      '--name-only',
      '--messages',
      assertCommit(base),
      assertCommit(head),
    ],
    gitDir,
    signal,
    answers: [0, 1, 128],
  })
  if (tried.code === 128)
    return { kind: 'rejected', reason: 'merge_conflict', detail: toDetail(tried.stderr) }
  const [tree, ...rest] = splitZero(tried.stdout)
  if (tried.code === 1) return toConflict(rest)
  const person = { name: toPersonName(merge.actor.name), email: toPersonName(merge.actor.email) }
  const committed = await git({
    attempt: 'write a merge commit',
    args: ['commit-tree', tree?.toString('latin1').trim() ?? '', '-p', base, '-p', head, '-F', '-'],
    gitDir,
    stdin: merge.message.replaceAll('\0', ''),
    env: {
      GIT_AUTHOR_NAME: person.name,
      GIT_AUTHOR_EMAIL: person.email,
      GIT_COMMITTER_NAME: person.name,
      GIT_COMMITTER_EMAIL: person.email,
    },
    signal,
  })
  return { kind: 'merged', commit: firstLine(committed) }
}

/** The commit by which a branch came to contain another; `undefined` when it does not. */
export async function findMergeOf(
  repository: MirrorRepository,
  head: CommitHash,
  base: CommitHash,
  signal: AbortSignal,
): Promise<CommitHash | undefined> {
  if (!(await isAncestor(repository, head, base, signal))) return undefined
  const listed = await repository.git({
    attempt: 'find a merge commit',
    args: ['rev-list', '--first-parent', '--ancestry-path', '--reverse', `${head}..${base}`, '--'],
    gitDir: repository.gitDir,
    signal,
  })
  return firstLine(listed) || base
}

/** File names up to the first empty field, messages after it. */
function toConflict(fields: readonly Buffer[]): MergeOutcome & { kind: 'conflict' } {
  const end = fields.findIndex((field) => field.length === 0)
  const names = fields.slice(0, end === -1 ? fields.length : end)
  const files = [...new Set(names.map(toPrintableName))]
  const shown = files.slice(0, FILE_COUNT_MAX)
  return {
    kind: 'conflict',
    files: shown,
    detail: `${files.length} files conflict: ${shown.slice(0, 20).join(', ')}`,
  }
}

/** What a commit's author line can hold. */
function toPersonName(text: string): string {
  return (
    text
      .replace(/[\u0000-\u001f\u007f<>]/g, '')
      .trim()
      .slice(0, 200) || 'swarm'
  )
}
