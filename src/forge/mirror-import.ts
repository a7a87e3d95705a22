import { lstat } from 'node:fs/promises'
import type { MirrorRepository } from './bare-mirror.ts'
import { findForeignObjects, readDeliveredObjects } from './bundle-objects.ts'
import { ForgeError } from './contract.ts'
import { exclusively } from './exclusive.ts'
import { firstLine } from './git-command.ts'
import { toDetail } from './git-trouble.ts'
import type { CommitHash, ImportBundle, ImportOutcome, ImportRefusal } from './mirror-contract.ts'
import { assertCommit, isAncestor, resolveCommit } from './mirror-read.ts'
import { withScratchRepository } from './scratch-repository.ts'
import { inspectTree } from './tree-findings.ts'
import { isWorkRef } from './work-ref.ts'

const BYTES_MAX = 256 * 1024 * 1024
const TIMEOUT_MS = 300_000
const BASE_REF = 'refs/quarantine/base'
const WORK_REF = 'refs/quarantine/work'
/** What a hostile pack may cost: memory per thread, and one thread. */
const BOUNDS = [
  'pack.threads=1',
  'core.deltaBaseCacheLimit=32m',
  'fetch.unpackLimit=1',
  'transfer.unpackLimit=1',
]

class Refusal extends Error {
  readonly code: ImportRefusal
  constructor(code: ImportRefusal, detail: string) {
    super(detail)
    this.code = code
  }
}

/** Quarantine first, every check there, and only then the mirror. */
export async function importBundle(
  mirror: MirrorRepository,
  input: ImportBundle,
  signal: AbortSignal,
): Promise<ImportOutcome> {
  if (!isWorkRef(input.ref)) throw new Error(`not a ref for work: ${JSON.stringify(input.ref.slice(0, 200))}`)
  const base = assertCommit(input.expectedBase)
  if ((await resolveCommit(mirror, base, signal)) === undefined) {
    throw new ForgeError('repository_missing', `the mirror has no commit ${base} to import onto`)
  }
  try {
    await assertSize(input)
    return await withScratchRepository(mirror, { [BASE_REF]: base }, signal, (gitDir) =>
      importThrough({ ...mirror, gitDir }, mirror, input, signal),
    )
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { kind: 'refused', code: error.code, detail: error.message }
  }
}

async function importThrough(
  quarantine: MirrorRepository,
  mirror: MirrorRepository,
  input: ImportBundle,
  signal: AbortSignal,
): Promise<ImportOutcome> {
  const base = input.expectedBase
  const head = await readHead(quarantine, input, signal)
  if (head.commit === base) return { kind: 'no-change' }
  await receive(quarantine, input, head.commit, signal)
  await assertDescends(quarantine, base, head.commit, signal)
  if (await hasSameTree(quarantine, base, head.commit, signal)) return { kind: 'no-change' }
  await assertOwnObjects(quarantine, input, head.commit, signal)
  const inspected = await inspectTree(quarantine, { base, commit: head.commit }, signal)
  if (inspected.kind !== 'clean') {
    throw new Refusal(inspected.kind === 'forbidden' ? 'forbidden_path' : 'too_large', inspected.detail)
  }
  await keep(mirror, quarantine.gitDir, input.ref, signal)
  const { findings, findingsTruncated } = inspected
  return { kind: 'imported', commit: head.commit, findings, findingsTruncated }
}

async function assertSize(input: ImportBundle): Promise<void> {
  const bytesMax = input.bytesMax ?? BYTES_MAX
  const found = await lstat(input.path).catch(() => undefined)
  if (found?.isFile() !== true) throw new Refusal('not_a_bundle', 'there is no bundle file')
  if (found.size > bytesMax) {
    throw new Refusal('too_large', `the bundle has ${found.size} bytes, ${bytesMax} are allowed`)
  }
}

async function readHead(
  { git, gitDir }: MirrorRepository,
  input: ImportBundle,
  signal: AbortSignal,
): Promise<{ readonly commit: CommitHash }> {
  const listed = await git({
    attempt: 'list the heads of a bundle',
    args: ['bundle', 'list-heads', input.path],
    gitDir,
    signal,
    answers: [0, 1, 128],
    outputBytesMax: 64 * 1024,
  })
  if (listed.code !== 0) throw new Refusal('not_a_bundle', toDetail(listed.stderr))
  const lines = listed.stdout
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '')
  const match = /^([0-9a-f]{40}|[0-9a-f]{64}) (refs\/[A-Za-z0-9_./-]+)$/.exec(lines[0] ?? '')
  if (lines.length !== 1 || match === null) {
    throw new Refusal('unexpected_heads', `a bundle of work has one head, this one has ${lines.length}`)
  }
  const [, commit = ''] = match
  if (input.expectedCommit !== undefined && commit !== input.expectedCommit) {
    throw new Refusal('unexpected_commit', `the bundle holds ${commit}, not ${input.expectedCommit}`)
  }
  return { commit }
}

/** Into the quarantine; then every received object is checked, links and forbidden names included. */
async function receive(
  { git, gitDir }: MirrorRepository,
  input: ImportBundle,
  commit: CommitHash,
  signal: AbortSignal,
): Promise<void> {
  const call = { gitDir, signal, timeoutMs: TIMEOUT_MS, settings: BOUNDS, answers: [0, 1, 128] }
  const verified = await git({
    ...call,
    attempt: 'verify a bundle',
    args: ['bundle', 'verify', input.path],
  })
  if (verified.code !== 0) {
    const isBase = /lacks these prerequisite|prerequisite|not connected/i.test(verified.stderr)
    throw new Refusal(isBase ? 'unrelated_base' : 'not_a_bundle', toDetail(verified.stderr))
  }
  // Not `fetch`, which takes nothing when the mirror has the commit already: what came must be seen to be judged.
  const unpacked = await git({
    ...call,
    attempt: 'unpack a bundle',
    args: ['bundle', 'unbundle', input.path],
  })
  if (unpacked.code !== 0) throw new Refusal('corrupt', toDetail(unpacked.stderr))
  for (const pack of (await readDeliveredObjects({ git, gitDir }, input.path, signal)).packs) {
    const checked = await git({
      ...call,
      attempt: 'check received objects',
      args: ['index-pack', '--strict', '-o', `${gitDir}/checked.idx`, pack],
    })
    if (checked.code !== 0) {
      const isName = /hasDotgit|hasDot|hasDotdot|fullPathname|gitmodules/i.test(checked.stderr)
      throw new Refusal(isName ? 'forbidden_path' : 'corrupt', toDetail(checked.stderr))
    }
  }
  const named = await git({ ...call, attempt: 'name the work', args: ['update-ref', WORK_REF, commit] })
  if (named.code !== 0) throw new Refusal('corrupt', toDetail(named.stderr))
}

async function assertDescends(
  quarantine: MirrorRepository,
  base: CommitHash,
  commit: CommitHash,
  signal: AbortSignal,
): Promise<void> {
  const isCommit = (await resolveCommit(quarantine, commit, signal)) === commit
  if (!isCommit || !(await isAncestor(quarantine, base, commit, signal))) {
    throw new Refusal('unrelated_base', `the work does not descend from ${base}`)
  }
}

async function hasSameTree(
  { git, gitDir }: MirrorRepository,
  base: CommitHash,
  commit: CommitHash,
  signal: AbortSignal,
): Promise<boolean> {
  const args = ['rev-parse', '--verify', '--end-of-options']
  const call = { attempt: 'compare two trees', gitDir, signal }
  const before = await git({ ...call, args: [...args, `${base}^{tree}`] })
  const after = await git({ ...call, args: [...args, `${commit}^{tree}`] })
  return firstLine(before) === firstLine(after)
}

async function assertOwnObjects(
  quarantine: MirrorRepository,
  input: ImportBundle,
  commit: CommitHash,
  signal: AbortSignal,
): Promise<void> {
  const found = await findForeignObjects(
    quarantine,
    { bundlePath: input.path, base: input.expectedBase, commit },
    signal,
  )
  if (found.kind === 'too-many') throw new Refusal('too_large', 'the work has too many objects')
  if (found.kind === 'foreign') {
    throw new Refusal(
      'foreign_objects',
      `the work uses ${found.count} objects that its sandbox was never given`,
    )
  }
}

/** A later harvest of the same attempt moves the ref; the earlier one stays in the ref's log. */
async function keep(
  mirror: MirrorRepository,
  quarantineDir: string,
  ref: string,
  signal: AbortSignal,
): Promise<void> {
  await exclusively(mirror.gitDir, signal, () =>
    mirror.git({
      attempt: `keep work at ${ref}`,
      args: [
        'fetch',
        '--quiet',
        '--no-tags',
        '--no-write-fetch-head',
        '--',
        quarantineDir,
        `+${WORK_REF}:${ref}`,
      ],
      gitDir: mirror.gitDir,
      env: { GIT_ALLOW_PROTOCOL: 'file' },
      signal,
      timeoutMs: TIMEOUT_MS,
    }),
  )
}
