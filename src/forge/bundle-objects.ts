import { open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { MirrorRepository } from './bare-mirror.ts'
import type { CommitHash } from './mirror-contract.ts'

/**
 * The quarantine reads the whole mirror's objects, other tickets' included, through its alternates. A bundle that
 * names one of those (in a tree, as a parent, as the base of a delta) would carry it into the next sandbox. So
 * everything that the work is made of must have come in the bundle itself or belong to its base's history.
 */
export async function findForeignObjects(
  quarantine: MirrorRepository,
  work: { readonly bundlePath: string; readonly base: CommitHash; readonly commit: CommitHash },
  signal: AbortSignal,
): Promise<{ readonly kind: 'own' | 'too-many' } | { readonly kind: 'foreign'; readonly count: number }> {
  const { delivered, completed } = await readDeliveredObjects(quarantine, work.bundlePath, signal)
  const needed = await listObjects(quarantine, [work.commit, `^${work.base}`], signal)
  if (needed === undefined) return { kind: 'too-many' }
  let unexplained = [...needed, ...completed].filter((object) => !delivered.has(object))
  for (const listKnown of [listTree, listHistory]) {
    if (unexplained.length === 0) return { kind: 'own' }
    const known = await listKnown(quarantine, work.base, signal)
    if (known === undefined) return { kind: 'too-many' }
    unexplained = unexplained.filter((object) => !known.has(object))
  }
  return unexplained.length === 0 ? { kind: 'own' } : { kind: 'foreign', count: unexplained.length }
}

/**
 * What the bundle's pack brought. git completes a thin pack with the bases of its deltas and appends them, so an
 * object beyond the pack's original length was not delivered but found here.
 */
export async function readDeliveredObjects(
  { git, gitDir }: Pick<MirrorRepository, 'git' | 'gitDir'>,
  bundlePath: string,
  signal: AbortSignal,
): Promise<{
  readonly packs: readonly string[]
  readonly delivered: ReadonlySet<string>
  readonly completed: readonly string[]
}> {
  const packDir = join(gitDir, 'objects', 'pack')
  const names = (await readdir(packDir)).filter((name) => name.endsWith('.pack'))
  const packLength = await readPackLength(bundlePath)
  const delivered = new Set<string>()
  const completed: string[] = []
  for (const name of names) {
    const index = await readFile(join(packDir, name.replace(/\.pack$/, '.idx')))
    const { stdout } = await git({
      attempt: 'list received objects',
      args: ['show-index'],
      gitDir,
      stdin: index,
      signal,
      outputBytesMax: LIST_BYTES_MAX,
    })
    for (const line of stdout.toString('latin1').split('\n')) {
      const [offset, object] = line.split(' ', 2)
      if (offset === undefined || object === undefined) continue
      if (Number(offset) < packLength - object.length / 2) delivered.add(object)
      else completed.push(object)
    }
  }
  return { packs: names.map((name) => join(packDir, name)), delivered, completed }
}

const LIST_BYTES_MAX = 64 * 1024 * 1024
const HEADER_BYTES_MAX = 1024 * 1024

/** Bytes of the pack in a bundle: what follows the header's empty line. */
async function readPackLength(bundlePath: string): Promise<number> {
  const file = await open(bundlePath, 'r')
  try {
    const header = Buffer.alloc(HEADER_BYTES_MAX)
    const { bytesRead } = await file.read(header, 0, header.length, 0)
    const end = header.subarray(0, bytesRead).indexOf('\n\n')
    return end === -1 ? 0 : (await file.stat()).size - (end + 2)
  } finally {
    await file.close()
  }
}

async function listObjects(
  { git, gitDir }: MirrorRepository,
  revisions: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlySet<string> | undefined> {
  const { stdout, truncated } = await git({
    attempt: 'list objects',
    args: ['rev-list', '--objects', '--no-object-names', ...revisions, '--'],
    gitDir,
    signal,
    timeoutMs: 300_000,
    outputBytesMax: LIST_BYTES_MAX,
  })
  return truncated ? undefined : new Set(stdout.toString('latin1').split('\n').filter(Boolean))
}

function listHistory(quarantine: MirrorRepository, base: CommitHash, signal: AbortSignal) {
  return listObjects(quarantine, [base], signal)
}

/** Almost always enough, and much cheaper than the whole history. */
async function listTree(
  { git, gitDir }: MirrorRepository,
  base: CommitHash,
  signal: AbortSignal,
): Promise<ReadonlySet<string> | undefined> {
  const { stdout } = await git({
    attempt: 'list the objects of a tree',
    args: ['ls-tree', '-r', '-t', '-z', '--full-tree', '--format=%(objectname)', base],
    gitDir,
    signal,
    outputBytesMax: LIST_BYTES_MAX,
  })
  return new Set(stdout.toString('latin1').split('\0').filter(Boolean))
}
