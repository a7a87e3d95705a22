import { chmodSync, type Dirent, lstatSync, readdirSync, unlinkSync } from 'node:fs'
import { toOneLine } from './git-inside.ts'

const ENTRY_COUNT_MAX = 1_000_000
/** Files that git itself opens while it looks around; a named pipe in their place would hold it for ever. */
const READ_BY_GIT: ReadonlySet<string> = new Set(['.gitignore', '.gitattributes', '.gitmodules'])

type Path = Buffer

/** The workspace is not what can be brought home; another way of looking at it would not help. */
export class WorkspaceRefusal extends Error {}

/** Makes the workspace safe to look at: directories can be entered, and what git reads by itself is a file. */
export function walkWorkspace(workspace: string): { readonly warnings: readonly string[] } {
  const warnings: string[] = []
  eachEntry(workspace, warnings, (path, entry) => {
    const isSpecial = entry.isFIFO() || entry.isSocket() || entry.isCharacterDevice() || entry.isBlockDevice()
    if (!isSpecial) return
    warnings.push(`left out, not a file: ${toOneLine(path.toString('utf8'))}`)
    if (READ_BY_GIT.has(entry.name.toString('utf8'))) unlinkSync(path)
  })
  return { warnings }
}

/** Gives the owner back the right to read each file; what git records of a mode stays as it was. */
export function makeReadable(workspace: string): void {
  eachEntry(workspace, [], (path, entry) => {
    if (!entry.isFile()) return
    const { mode } = lstatSync(path)
    if ((mode & 0o400) === 0) attempt(() => chmodSync(path, (mode & 0o7777) | 0o400))
  })
}

/**
 * A folder that git is about to read holds files and folders only: a named pipe among them would hold it for ever.
 * @throws when there is anything else
 */
export function assertPlainFiles(directory: string): void {
  const odd = readdirSync(directory, { recursive: true, withFileTypes: true }).find(
    (entry) => !entry.isFile() && !entry.isDirectory(),
  )
  if (odd !== undefined) throw new Error(`${odd.name} is neither a file nor a folder`)
}

/** Every entry below the workspace but what lies in a `.git`; links are not followed. */
function eachEntry(
  workspace: string,
  warnings: string[],
  visit: (path: Path, entry: Dirent<Buffer>) => void,
): void {
  const waiting: Path[] = [Buffer.from(workspace)]
  let count = 0
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    for (const entry of listDirectory(directory, warnings)) {
      if (++count > ENTRY_COUNT_MAX)
        throw new WorkspaceRefusal(`the workspace has more than ${ENTRY_COUNT_MAX} files`)
      const path = Buffer.concat([directory, Buffer.from('/'), entry.name])
      if (entry.isDirectory() && entry.name.toString('latin1') !== '.git') waiting.push(path)
      visit(path, entry)
    }
  }
}

function listDirectory(directory: Path, warnings: string[]): readonly Dirent<Buffer>[] {
  const list = () => readdirSync(directory, { withFileTypes: true, encoding: 'buffer' })
  attempt(() => {
    const { mode } = lstatSync(directory)
    if ((mode & 0o700) !== 0o700) chmodSync(directory, (mode & 0o7777) | 0o700)
  })
  try {
    return list()
  } catch (error) {
    warnings.push(
      `left out, cannot be read: ${toOneLine(error instanceof Error ? error.message : String(error))}`,
    )
    return []
  }
}

/** Another user's file, or one that just went away, is none of ours to change. */
function attempt(action: () => void): void {
  try {
    action()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (!['EPERM', 'EACCES', 'ENOENT', 'EROFS', 'ENAMETOOLONG'].includes(code ?? '')) throw error
  }
}
