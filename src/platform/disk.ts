import { lstat, opendir, statfs } from 'node:fs/promises'
import { join } from 'node:path'

/** Room of the file system that holds a path. */
export type DiskRoom = {
  readonly totalBytes: number
  /** What this user may still write */
  readonly freeBytes: number
}

export async function readDiskRoom(path: string): Promise<DiskRoom> {
  const { bsize, blocks, bavail } = await statfs(path)
  return { totalBytes: bsize * blocks, freeBytes: bsize * bavail }
}

/**
 * Bytes of all files below a path, or of the one file there; links are not followed. What vanishes meanwhile counts
 * as nothing, what is not there too.
 */
export async function measureTree(path: string, signal?: AbortSignal): Promise<number> {
  signal?.throwIfAborted()
  const found = await orAbsent(lstat(path))
  if (found === undefined) return 0
  if (!found.isDirectory()) return found.size
  const directory = await orAbsent(opendir(path))
  if (directory === undefined) return 0
  let bytes = 0
  // Closed by the loop, also when it throws.
  for await (const entry of directory) bytes += await measureTree(join(path, entry.name), signal)
  return bytes
}

async function orAbsent<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}
