import type { MirrorRepository } from './bare-mirror.ts'
import type { CommitHash, MergeOutcome, MergePullRequest } from './contract.ts'
import { firstLine, splitZero } from './git-command.ts'
import { toDetail } from './git-trouble.ts'
import { assertCommit, isAncestor, log } from './mirror-read.ts'
import { toPrintableName } from './printable.ts'
import { isWorkRef } from './work-ref.ts'

const FILE_COUNT_MAX = 500

type MergedTrees = Exclude<MergeOutcome, { kind: 'already-merged' }>

/** A merge commit of two commits, made of objects only: no work tree, no index, no merge program. */
export async function mergeCommits(
  { git, gitDir }: MirrorRepository,
  merge: {
    readonly base: CommitHash
    readonly head: CommitHash
    readonly message: string
    readonly actor: MergePullRequest['actor']
    /** Instant of the commit, `s` since the epoch; now when left out */
    readonly atSeconds?: number
  },
  signal: AbortSignal,
): Promise<MergedTrees> {
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
      ...(merge.atSeconds === undefined
        ? {}
        : { GIT_AUTHOR_DATE: `@${merge.atSeconds} +0000`, GIT_COMMITTER_DATE: `@${merge.atSeconds} +0000` }),
    },
    signal,
  })
  return { kind: 'merged', commit: firstLine(committed) }
}

/** See Mirror.mergeCommits. */
export async function mergeWork(
  mirror: MirrorRepository,
  input: { readonly ours: CommitHash; readonly theirs: CommitHash; readonly ref: string },
  signal: AbortSignal,
): Promise<Extract<MergedTrees, { kind: 'merged' | 'conflict' }>> {
  const { ours, theirs, ref } = input
  if (!isWorkRef(ref)) throw new Error(`not a ref for work: ${JSON.stringify(ref.slice(0, 200))}`)
  if (await isAncestor(mirror, theirs, ours, signal)) return { kind: 'merged', commit: ours }
  if (await isAncestor(mirror, ours, theirs, signal)) return { kind: 'merged', commit: theirs }
  const [newest] = await log(mirror, { to: ours, countMax: 1 }, signal)
  const [other] = await log(mirror, { to: theirs, countMax: 1 }, signal)
  const atSeconds = Math.max(newest?.committedAt ?? 0, other?.committedAt ?? 0) / 1000
  const actor = { name: 'Swarm', email: 'swarm@localhost' }
  const message = `Merge work of two steps\n\n${ours}\n${theirs}\n`
  const merged = await mergeCommits(mirror, { base: ours, head: theirs, message, actor, atSeconds }, signal)
  if (merged.kind === 'rejected') return { kind: 'conflict', files: [], detail: merged.detail }
  if (merged.kind === 'conflict') return merged
  await mirror.git({
    attempt: `keep a merge at ${ref}`,
    args: ['update-ref', ref, merged.commit],
    gitDir: mirror.gitDir,
    signal,
  })
  return merged
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
    args: [
      'rev-list',
      '--first-parent',
      '--ancestry-path',
      '--reverse',
      '--parents',
      `${head}..${base}`,
      '--',
    ],
    gitDir: repository.gitDir,
    signal,
  })
  const [commit = '', firstParent] = firstLine(listed).split(' ')
  // Without a merge commit (fast-forward) the branch's own head is where the base branch took it in.
  return commit === '' || firstParent === head ? head : commit
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
