import { posix } from 'node:path'
import type { MirrorRepository } from './bare-mirror.ts'
import { findForbiddenPart } from './forbidden-path.ts'
import { splitZero } from './git-command.ts'
import type { CommitHash, Finding } from './mirror-contract.ts'
import { isPlainName, toPrintableName } from './printable.ts'

const LIST_BYTES_MAX = 64 * 1024 * 1024
const FINDING_COUNT_MAX = 500
/** Changed files that are looked into for links and pointers */
const READ_COUNT_MAX = 20_000
const SMALL_BYTES_MAX = 4_096

type Entry = { readonly mode: string; readonly object: string; readonly path: Buffer }

/** Looks at what the work changed against its base: what must not be there, and what a reviewer should see. */
export async function inspectTree(
  quarantine: MirrorRepository,
  { base, commit }: { readonly base: CommitHash; readonly commit: CommitHash },
  signal: AbortSignal,
): Promise<
  | { readonly kind: 'clean'; readonly findings: readonly Finding[]; readonly findingsTruncated: boolean }
  | { readonly kind: 'forbidden' | 'too-many'; readonly detail: string }
> {
  const { stdout, truncated } = await quarantine.git({
    attempt: 'list changed files',
    args: ['diff-tree', '-r', '-z', '--raw', '--no-renames', '--full-index', base, commit, '--'],
    gitDir: quarantine.gitDir,
    signal,
    outputBytesMax: LIST_BYTES_MAX,
  })
  if (truncated) return { kind: 'too-many', detail: 'the work changes too many files' }
  const changes = parseRaw(splitZero(stdout))
  const forbidden = changes.find((entry) => !isGone(entry) && findForbiddenPart(entry.path) !== undefined)
  if (forbidden !== undefined) {
    return {
      kind: 'forbidden',
      detail: `${toPrintableName(forbidden.path)} is no path for a file in a repository`,
    }
  }
  const named = changes.flatMap(findByName)
  const small = await readSmallBlobs(quarantine, changes.filter(isBlob).slice(0, READ_COUNT_MAX), signal)
  const read = changes.flatMap((entry) => findByContent(entry, small.get(entry.object)))
  const findings = [...named, ...read]
  return {
    kind: 'clean',
    findings: findings.slice(0, FINDING_COUNT_MAX),
    findingsTruncated: findings.length > FINDING_COUNT_MAX || changes.length > READ_COUNT_MAX,
  }
}

/** `:<old mode> <new mode> <old object> <new object> <status>` and the path, in turns. */
function parseRaw(fields: readonly Buffer[]): Entry[] {
  const entries: Entry[] = []
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [oldMode = '', mode = '', , object = ''] = (fields[at] ?? Buffer.alloc(0))
      .toString('latin1')
      .split(' ')
    const path = fields[at + 1] ?? Buffer.alloc(0)
    // A submodule that goes away is as worth a look as one that comes.
    entries.push({ mode: mode === '000000' && oldMode === ':160000' ? 'gone-submodule' : mode, object, path })
  }
  return entries
}

function isGone(entry: Entry): boolean {
  return entry.mode === '000000' || entry.mode === 'gone-submodule'
}

function isBlob(entry: Entry): boolean {
  return entry.mode.startsWith('100') || entry.mode === '120000'
}

function findByName(entry: Entry): Finding[] {
  const path = toPrintableName(entry.path)
  const findings: Finding[] = []
  const add = (kind: Finding['kind'], detail?: string) =>
    findings.push(detail === undefined ? { kind, path } : { kind, path, detail })
  const name = posix.basename(entry.path.toString('latin1'))
  if (entry.mode === '160000') add('submodule_changed', `commit ${entry.object}`)
  if (entry.mode === 'gone-submodule') add('submodule_changed', 'removed')
  if (name === '.gitmodules') add('submodule_changed')
  if (name === '.gitattributes') add('attributes_changed')
  if (entry.path.subarray(0, 7).toString('latin1') === '.swarm/') add('swarm_files_changed')
  if (!isGone(entry) && !isPlainName(entry.path)) add('odd_name')
  return findings
}

function findByContent(entry: Entry, content: Buffer | undefined): Finding[] {
  if (content === undefined) return []
  const path = toPrintableName(entry.path)
  if (entry.mode === '120000') {
    const isInside = pointsInside(entry.path.toString('latin1'), content.toString('latin1'))
    return isInside ? [] : [{ kind: 'symlink_outside', path, detail: toPrintableName(content).slice(0, 500) }]
  }
  const isPointer = content
    .subarray(0, 43)
    .toString('latin1')
    .startsWith('version https://git-lfs.github.com/spec/')
  return isPointer ? [{ kind: 'lfs_pointer', path }] : []
}

/** By its text alone, as any checkout would follow it: not absolute, not above the root, not into `.git`. */
function pointsInside(path: string, target: string): boolean {
  if (target === '' || target.startsWith('/') || target.includes('\\')) return false
  const end = posix.normalize(posix.join(posix.dirname(path), target))
  return !end.startsWith('../') && end !== '..' && findForbiddenPart(Buffer.from(end, 'latin1')) === undefined
}

async function readSmallBlobs(
  { git, gitDir }: MirrorRepository,
  entries: readonly Entry[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Buffer>> {
  const objects = [...new Set(entries.map((entry) => entry.object))]
  if (objects.length === 0) return new Map()
  const call = { attempt: 'read changed files', gitDir, signal, outputBytesMax: 128 * 1024 * 1024 }
  const sizes = await git({
    ...call,
    args: ['cat-file', '--batch-check=%(objectname) %(objectsize)'],
    stdin: `${objects.join('\n')}\n`,
  })
  const small = sizes.stdout
    .toString('latin1')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, size]) => Number(size) <= SMALL_BYTES_MAX)
    .map(([object]) => object ?? '')
    .filter((object) => object !== '')
  const contents = await git({ ...call, args: ['cat-file', '--batch'], stdin: `${small.join('\n')}\n` })
  return parseBatch(contents.stdout)
}

/** `<object> <type> <size>`, newline, the bytes, newline. */
function parseBatch(output: Buffer): Map<string, Buffer> {
  const blobs = new Map<string, Buffer>()
  for (let at = 0; at < output.length; ) {
    const end = output.indexOf(0x0a, at)
    if (end === -1) break
    const [object = '', , size] = output.subarray(at, end).toString('latin1').split(' ')
    if (size === undefined) {
      at = end + 1
      continue
    }
    blobs.set(object, output.subarray(end + 1, end + 1 + Number(size)))
    at = end + 1 + Number(size) + 1
  }
  return blobs
}
