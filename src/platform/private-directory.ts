import { mkdir, stat } from 'node:fs/promises'

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
  await mkdir(path, { recursive: true, mode: 0o700 })
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
