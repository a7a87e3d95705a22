import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

export type CopiedFile = { readonly bytes: number; readonly sha256: string }

const CHUNK_BYTES = 256 * 1024

/**
 * Copies a regular file to a path that does not exist yet and makes it durable. What the file grows by meanwhile is
 * left out; a link is not followed.
 * @throws the system's error, or the signal's reason; then a part of the copy may be left
 */
export async function copyFileDurably(
  from: string,
  to: string,
  options: { readonly mode: number; readonly signal: AbortSignal },
): Promise<CopiedFile> {
  const source = await openRegular(from)
  try {
    const target = await open(to, 'wx', options.mode)
    try {
      const copied = await readThrough(source, options.signal, (chunk) => writeAll(target, chunk))
      // The mode that was asked for, whatever the umask says.
      await target.chmod(options.mode)
      await target.sync()
      return copied
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}

/** Size and digest of a regular file; a link is not followed. */
export async function digestFile(path: string, signal: AbortSignal): Promise<CopiedFile> {
  const source = await openRegular(path)
  try {
    return await readThrough(source, signal, async () => {})
  } finally {
    await source.close()
  }
}

/** Makes the names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

async function openRegular(path: string): Promise<FileHandle> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  if ((await file.stat()).isFile()) return file
  await file.close()
  throw Object.assign(new Error(`${path} is not a file`), { code: 'EINVAL', path })
}

async function readThrough(
  file: FileHandle,
  signal: AbortSignal,
  take: (chunk: Uint8Array) => Promise<void>,
): Promise<CopiedFile> {
  const { size } = await file.stat()
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  let bytes = 0
  while (bytes < size) {
    signal.throwIfAborted()
    const { bytesRead } = await file.read(buffer, 0, Math.min(CHUNK_BYTES, size - bytes), bytes)
    if (bytesRead === 0) break
    const chunk = buffer.subarray(0, bytesRead)
    hash.update(chunk)
    await take(chunk)
    bytes += bytesRead
  }
  return { bytes, sha256: hash.digest('hex') }
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let written = 0; written < chunk.length; ) {
    written += (await file.write(chunk, written)).bytesWritten
  }
}
