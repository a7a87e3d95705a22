import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** The directory is not only ours: whoever can write there could replace what we trust. */
export class DirectoryNotPrivateError extends Error {
  override readonly name = 'DirectoryNotPrivateError'
  readonly fix: string

  constructor(message: string, fix: string) {
    super(message)
    this.fix = fix
  }
}

/**
 * Makes a directory that only its owner may enter, or looks whether the one that is there is safe enough. What is
 * there is not changed: it may be somebody's home.
 * @returns what should be better, in one sentence; `null` when nothing should
 * @throws DirectoryNotPrivateError when others own it or can write in it
 */
export async function makePrivateDirectory(path: string): Promise<string | null> {
  await makeDirectories(path)
  const { mode, uid } = await stat(path)
  const userId = process.getuid?.() ?? uid
  if (uid !== userId) {
    throw new DirectoryNotPrivateError(
      `${path} belongs to user ${uid}, this is user ${userId}`,
      'become that user',
    )
  }
  if ((mode & 0o022) !== 0) {
    throw new DirectoryNotPrivateError(`${path} can be written by others`, `chmod 700 ${path}`)
  }
  return (mode & 0o077) === 0 ? null : `${path} can be entered by others: chmod 700 ${path}`
}

/** As `recursive`, which never ends where a parent is there but takes no entries, such as `/proc`. */
async function makeDirectories(path: string): Promise<void> {
  const problem = await makeDirectory(path)
  if (problem === null) return
  if (problem.code !== 'ENOENT' || dirname(path) === path) throw problem
  await makeDirectories(dirname(path))
  const again = await makeDirectory(path)
  if (again !== null) throw again
}

/** @returns why there is no such directory now */
async function makeDirectory(path: string): Promise<NodeJS.ErrnoException | null> {
  try {
    await mkdir(path, { mode: 0o700 })
    return null
  } catch (error) {
    const problem = error as NodeJS.ErrnoException
    return problem.code === 'EEXIST' && (await stat(path)).isDirectory() ? null : problem
  }
}
