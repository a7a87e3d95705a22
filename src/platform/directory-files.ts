import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** A regular file below a directory. */
export type DirectoryFile = {
  /** Relative, with `/` */
  readonly path: string
  /** Whether its owner may execute it */
  readonly isExecutable: boolean
  readonly content: Buffer
}

export type DirectoryLimits = {
  readonly fileCountMax: number
  readonly bytesMax: number
  /** Whether a file, or a directory with all in it, is passed over */
  readonly isOmitted?: (path: string) => boolean
}

/** The directory holds something that is not taken along. `path` is relative to it. */
export class DirectoryRefusedError extends Error {
  override readonly name = 'DirectoryRefusedError'
  readonly code: 'not_a_file' | 'too_many' | 'too_large' | 'bad_name'
  readonly path: string

  constructor(code: DirectoryRefusedError['code'], path: string, message: string) {
    super(message)
    this.code = code
    this.path = path
  }
}

/**
 * Every file below a directory, sorted by path, read whole. Symbolic links, devices and names with control
 * characters are refused, never followed or skipped.
 * @throws DirectoryRefusedError, or the system's error when something cannot be read
 */
export async function readDirectoryFiles(
  directory: string,
  limits: DirectoryLimits,
  signal?: AbortSignal,
): Promise<readonly DirectoryFile[]> {
  const files: DirectoryFile[] = []
  let bytes = 0
  const walk = async (below: string, depth: number): Promise<void> => {
    const entries = await readdir(join(directory, below), { withFileTypes: true })
    for (const entry of entries) {
      signal?.throwIfAborted()
      const path = below === '' ? entry.name : `${below}/${entry.name}`
      if (limits.isOmitted?.(path) === true) continue
      checkName(entry.name, path)
      if (entry.isDirectory() && depth < DEPTH_MAX) {
        await walk(path, depth + 1)
        continue
      }
      if (!entry.isFile()) {
        throw new DirectoryRefusedError('not_a_file', path, `${path} is neither a file nor a directory`)
      }
      if (files.length >= limits.fileCountMax) {
        throw new DirectoryRefusedError('too_many', path, `more than ${limits.fileCountMax} files`)
      }
      const file = await readOne(join(directory, path), path, limits.bytesMax - bytes)
      bytes += file.content.length
      files.push(file)
    }
  }
  await walk('', 0)
  return files.sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** SHA-256 over names, execute bits and contents, hexadecimal. The files come sorted by path. */
export function digestFiles(files: readonly DirectoryFile[]): string {
  const hash = createHash('sha256')
  for (const { path, isExecutable, content } of files) {
    // Lengths go in as well, so that no two lists of files feed the hash the same bytes.
    hash.update(`${Buffer.byteLength(path)}:${path}:${isExecutable ? 'x' : '-'}:${content.length}:`)
    hash.update(content)
  }
  return hash.digest('hex')
}

const DEPTH_MAX = 16

function checkName(name: string, path: string): void {
  if (/[\u0000-\u001f\u007f\\]/.test(name) || name.length > 200) {
    throw new DirectoryRefusedError(
      'bad_name',
      JSON.stringify(path),
      `${JSON.stringify(path)} is not a usable name`,
    )
  }
}

async function readOne(absolute: string, path: string, bytesLeft: number): Promise<DirectoryFile> {
  // The entry may have been exchanged since it was listed: no link is followed, no pipe is waited for.
  const handle = await open(absolute, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const found = await handle.stat()
    if (!found.isFile()) throw new DirectoryRefusedError('not_a_file', path, `${path} is not a file`)
    if (found.size > bytesLeft) throw new DirectoryRefusedError('too_large', path, `too large with ${path}`)
    const content = await handle.readFile()
    if (content.length > bytesLeft)
      throw new DirectoryRefusedError('too_large', path, `too large with ${path}`)
    return { path, isExecutable: (found.mode & 0o100) !== 0, content }
  } finally {
    await handle.close()
  }
}
