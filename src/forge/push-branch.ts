import { asBareMirror, type BareMirror, readRemoteBranch, toRemoteRef } from './bare-mirror.ts'
import { isSwarmBranch } from './branch-name.ts'
import { type CommitHash, ForgeError, type PushBranch, type PushOutcome } from './contract.ts'
import { toDetail, toForgeError } from './git-trouble.ts'
import { assertCommit, isAncestor, resolveCommit } from './mirror-read.ts'
import { park } from './mirror-retention.ts'

const TIMEOUT_MS = 600_000

/** Puts a commit on one of our branches at the remote; the same twice is once. */
export async function pushBranch(input: PushBranch, signal: AbortSignal): Promise<PushOutcome> {
  const mirror = asBareMirror(input.mirror)
  const commit = assertCommit(input.commit)
  if (!isSwarmBranch(input.branch)) {
    return reject(
      'branch_protected',
      `only branches below swarm/ are pushed, not ${JSON.stringify(input.branch)}`,
    )
  }
  if ((await resolveCommit(mirror.repository, commit, signal)) === undefined) {
    throw new Error(`the mirror has no commit ${commit} to push`)
  }
  try {
    return await mirror.exclusively(signal, () => pushOurBranch(mirror, commit, input.branch, signal))
  } catch (error) {
    if (!(error instanceof ForgeError)) throw error
    return reject(error.code === 'git_failed' ? 'push_failed' : error.reason, error.message)
  }
}

async function pushOurBranch(
  mirror: BareMirror,
  commit: CommitHash,
  branch: string,
  signal: AbortSignal,
): Promise<PushOutcome> {
  const { repository } = mirror
  const ours = await resolveCommit(repository, toPushedRef(branch), signal)
  const theirs = await readRemoteBranch(mirror, branch, signal)
  if (theirs === commit) {
    await remember(mirror, branch, commit, signal)
    return { kind: 'unchanged', commit }
  }
  if (theirs !== undefined && !(await mayReplace(mirror, { theirs, ours, commit }, signal))) {
    return reject(
      'push_failed',
      `the branch ${branch} has commits that Swarm did not make; fetch and build on them`,
    )
  }
  // Work that a rewritten branch no longer holds is kept before the remote forgets it.
  if (theirs !== undefined && !(await isAncestor(repository, theirs, commit, signal))) {
    await park(repository, { commit: theirs, name: `replaced/${branch.replaceAll('/', '-')}` }, signal)
  }
  const pushed = await pushRef(mirror, { commit, branch, expected: theirs }, signal)
  if (pushed.kind === 'rejected') return pushed
  return theirs === undefined ? { kind: 'pushed', commit } : { kind: 'pushed', commit, previous: theirs }
}

/** What is there is contained in what comes, or is exactly what we pushed before. */
async function mayReplace(
  { repository }: BareMirror,
  at: { readonly theirs: CommitHash; readonly ours: CommitHash | undefined; readonly commit: CommitHash },
  signal: AbortSignal,
): Promise<boolean> {
  if (at.theirs === at.ours) return true
  if ((await resolveCommit(repository, at.theirs, signal)) === undefined) return false
  return await isAncestor(repository, at.theirs, at.commit, signal)
}

/**
 * One compare-and-set at the remote. `expected` undefined means that the branch must not exist there.
 * @throws ForgeError when the remote was not reached
 */
export async function pushRef(
  mirror: BareMirror,
  to: { readonly commit: CommitHash; readonly branch: string; readonly expected: CommitHash | undefined },
  signal: AbortSignal,
): Promise<{ readonly kind: 'pushed' } | Extract<PushOutcome, { kind: 'rejected' }>> {
  const { repository, remote } = mirror
  const ref = `refs/heads/${to.branch}`
  const result = await repository.git({
    attempt: `push the branch ${to.branch}`,
    args: [
      'push',
      '--porcelain',
      '--quiet',
      '--no-verify',
      '--no-follow-tags',
      '--no-signed',
      `--force-with-lease=${ref}:${to.expected ?? ''}`,
      ...remote.pushOptions,
      '--',
      remote.url,
      `${assertCommit(to.commit)}:${ref}`,
    ],
    gitDir: repository.gitDir,
    env: remote.env,
    signal,
    timeoutMs: TIMEOUT_MS,
    answers: [0, 1],
  })
  const verdict = result.stdout
    .toString('utf8')
    .split('\n')
    .find((line) => line.startsWith('!\t'))
  if (verdict !== undefined) return toRejection(to.branch, verdict.split('\t').at(-1) ?? '', result.stderr)
  if (result.code !== 0) {
    throw toForgeError({ attempt: `push the branch ${to.branch}`, code: result.code, stderr: result.stderr })
  }
  await remember(mirror, to.branch, to.commit, signal)
  return { kind: 'pushed' }
}

function toRejection(branch: string, verdict: string, stderr: string) {
  const detail = toDetail(`${verdict}\n${stderr}`)
  if (/branch is currently checked out/i.test(`${verdict} ${stderr}`)) {
    return reject(
      'branch_protected',
      `${branch} is checked out in the repository: check out another branch there, or use a bare repository`,
    )
  }
  const isProtected =
    /remote rejected/i.test(verdict) &&
    /hook declined|protected|not allowed|prohibited|GH0\d\d|deny/i.test(detail)
  return reject(
    isProtected ? 'branch_protected' : 'push_failed',
    detail || `the push of ${branch} was rejected`,
  )
}

async function remember({ repository }: BareMirror, branch: string, commit: CommitHash, signal: AbortSignal) {
  await repository.git({
    attempt: 'note a pushed branch',
    args: ['update-ref', '--stdin'],
    gitDir: repository.gitDir,
    stdin: `update ${toRemoteRef(branch)} ${commit}\nupdate ${toPushedRef(branch)} ${commit}\n`,
    signal,
  })
}

/** What we made of a branch, as against what we saw there. */
function toPushedRef(branch: string): string {
  return `refs/pushed/${branch}`
}

function reject<R extends Extract<PushOutcome, { kind: 'rejected' }>['reason']>(reason: R, detail: string) {
  return { kind: 'rejected', reason, detail } as const
}
