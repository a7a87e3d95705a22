import type { MirrorRepository } from './bare-mirror.ts'
import { splitZero } from './git-command.ts'
import type { ChangedFile, CommitHash, Diff } from './mirror-contract.ts'
import { assertCommit } from './mirror-read.ts'
import { toPrintableName, toPrintableText } from './printable.ts'

const TEXT_BYTES_MAX = 1024 * 1024
const FILE_COUNT_MAX = 3_000
const LIST_BYTES_MAX = 32 * 1024 * 1024
/** No program, no text conversion; renames among a bounded number of files. */
const OPTIONS = [
  '-r',
  '--no-ext-diff',
  '--no-textconv',
  '--find-renames',
  '-l500',
  '--full-index',
  '--no-color',
]

/** What a reviewer sees between two commits. */
export async function diffCommits(
  { git, gitDir }: MirrorRepository,
  input: { readonly from: CommitHash; readonly to: CommitHash; readonly textBytesMax?: number },
  signal: AbortSignal,
): Promise<Diff> {
  const commits = [assertCommit(input.from), assertCommit(input.to)]
  const diff = (options: readonly string[], outputBytesMax: number) =>
    git({
      attempt: 'compare two commits',
      args: ['diff-tree', ...OPTIONS, ...options, ...commits, '--'],
      gitDir,
      signal,
      outputBytesMax,
    })
  const list = await diff(['--raw', '--numstat', '-z'], LIST_BYTES_MAX)
  const files = parseFiles(splitZero(list.stdout))
  const text = await diff(['--patch'], input.textBytesMax ?? TEXT_BYTES_MAX)
  return {
    text: toPrintableText(wholeLines(text.stdout, text.truncated)),
    textTruncated: text.truncated,
    files: files.slice(0, FILE_COUNT_MAX),
    fileCount: files.length,
    insertions: sum(files, (file) => file.insertions),
    deletions: sum(files, (file) => file.deletions),
  }
}

const STATUS: Readonly<Record<string, ChangedFile['status']>> = {
  A: 'added',
  M: 'modified',
  D: 'deleted',
  R: 'renamed',
  T: 'type_changed',
}

/** `--raw -z` records come first, `--numstat -z` records after them, in the same order. */
function parseFiles(fields: readonly Buffer[]): ChangedFile[] {
  const files: ChangedFile[] = []
  let at = 0
  const next = () => fields[at++] ?? Buffer.alloc(0)
  while (at < fields.length && fields[at]?.[0] === 0x3a) {
    const status = STATUS[next().toString('latin1').split(' ')[4]?.charAt(0) ?? ''] ?? 'modified'
    const name = toPrintableName(next())
    if (status === 'renamed') files.push({ status, previousPath: name, path: toPrintableName(next()) })
    else files.push({ status, path: name })
  }
  for (const [index, file] of files.entries()) {
    if (at >= fields.length) break
    const [insertions = '-', deletions = '-'] = next().toString('latin1').split('\t', 2)
    if (file.status === 'renamed') at += 2
    if (insertions !== '-') {
      files[index] = { ...file, insertions: Number(insertions), deletions: Number(deletions) }
    }
  }
  return files
}

function wholeLines(bytes: Buffer, isCut: boolean): Buffer {
  return isCut ? bytes.subarray(0, bytes.lastIndexOf(0x0a) + 1) : bytes
}

function sum(files: readonly ChangedFile[], count: (file: ChangedFile) => number | undefined): number {
  return files.reduce((total, file) => total + (count(file) ?? 0), 0)
}
