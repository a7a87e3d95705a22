import type { MirrorRepository } from './bare-mirror.ts'
import { firstLine } from './git-command.ts'
import type { CommitHash, PruneReport } from './mirror-contract.ts'
import { assertCommit, resolveCommit } from './mirror-read.ts'
import { isWorkRef } from './work-ref.ts'

const COMPACT_TIMEOUT_MS = 1_800_000

export async function park(
  mirror: MirrorRepository,
  input: { readonly commit: CommitHash; readonly name: string },
  signal: AbortSignal,
): Promise<string> {
  const commit = assertCommit(input.commit)
  if (!/^[A-Za-z0-9_=-]+(?:\/[A-Za-z0-9_=-]+){0,9}$/.test(input.name)) {
    throw new Error(`not a name for parked work: ${JSON.stringify(input.name.slice(0, 200))}`)
  }
  const ref = `refs/parked/${input.name}`
  const before = await resolveCommit(mirror, ref, signal)
  if (before === commit) return ref
  // A name that is taken by other work gets a neighbour: nothing parked is ever moved.
  if (before !== undefined) {
    return await park(mirror, { commit, name: `${input.name}-${commit.slice(0, 12)}` }, signal)
  }
  await mirror.git({
    attempt: 'park work',
    args: ['update-ref', '--create-reflog', ref, commit, '0'.repeat(commit.length)],
    gitDir: mirror.gitDir,
    signal,
  })
  return ref
}

export async function pruneRefs(
  mirror: MirrorRepository,
  refs: readonly string[],
  signal: AbortSignal,
): Promise<PruneReport> {
  const deleted: string[] = []
  const parked: { ref: string; parkedRef: string }[] = []
  for (const ref of refs) {
    if (!isWorkRef(ref)) throw new Error(`not a ref of a run: ${JSON.stringify(ref.slice(0, 200))}`)
    const commit = await resolveCommit(mirror, ref, signal)
    if (commit === undefined) continue
    if (!(await isPushed(mirror, commit, signal))) {
      parked.push({
        ref,
        parkedRef: await park(mirror, { commit, name: ref.slice('refs/swarm/'.length) }, signal),
      })
    }
    await mirror.git({
      attempt: `delete ${ref}`,
      args: ['update-ref', '-d', ref, commit],
      gitDir: mirror.gitDir,
      signal,
    })
    deleted.push(ref)
  }
  return { deleted: deleted.filter((ref) => !parked.some((entry) => entry.ref === ref)), parked }
}

export async function compact(mirror: MirrorRepository, signal: AbortSignal): Promise<void> {
  await mirror.git({
    attempt: 'pack the mirror',
    args: ['gc', '--quiet', '--prune=2.weeks.ago'],
    settings: ['gc.reflogExpire=never', 'gc.reflogExpireUnreachable=90.days'],
    gitDir: mirror.gitDir,
    signal,
    timeoutMs: COMPACT_TIMEOUT_MS,
  })
}

/** Whether some branch of the remote, as we last saw or wrote it, contains the commit. */
async function isPushed(mirror: MirrorRepository, commit: CommitHash, signal: AbortSignal): Promise<boolean> {
  const result = await mirror.git({
    attempt: 'look for pushed work',
    args: [
      'for-each-ref',
      '--count=1',
      '--format=%(refname)',
      `--contains=${commit}`,
      'refs/remotes/origin/',
    ],
    gitDir: mirror.gitDir,
    signal,
  })
  return firstLine(result) !== ''
}
