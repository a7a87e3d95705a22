import { constants } from 'node:fs'
import { lstat, open, readdir, readlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Writable } from 'node:stream'
import { GuestError } from './guest-error.ts'
import { encodeTarHeader, paddingOf, TAR_BLOCK_BYTES, type TarEntry } from './tar-header.ts'

const READ_BYTES = 64 * 1024
const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants

/**
 * Writes a file or a directory as a tar stream. A directory's entries are named from below it, a file's by its
 * last name. Symbolic links are written as links; devices, pipes and sockets are left out.
 */
export async function packTree(
  path: string,
  out: Writable,
  { onlyFile }: { readonly onlyFile: boolean },
): Promise<void> {
  const stat = await lstat(path)
  if (onlyFile && !stat.isFile()) throw new GuestError('not_a_file', `${path} is not a regular file`)
  if (stat.isDirectory()) await packDirectory(path, '', out)
  else await packEntry(path, basename(path), out)
  await write(out, Buffer.alloc(2 * TAR_BLOCK_BYTES))
  out.end()
}

async function packDirectory(path: string, name: string, out: Writable): Promise<void> {
  for (const child of (await readdir(path)).sort()) {
    const childName = name === '' ? child : `${name}/${child}`
    await packEntry(join(path, child), childName, out)
  }
}

async function packEntry(path: string, name: string, out: Writable): Promise<void> {
  const stat = await lstat(path).catch(ignoreVanished)
  if (stat === undefined) return
  const entry: TarEntry = { name, kind: 'file', mode: stat.mode & 0o777, size: 0, target: '' }
  if (stat.isDirectory()) {
    await write(out, encodeTarHeader({ ...entry, name: `${name}/`, kind: 'directory' }))
    await packDirectory(path, name, out)
  } else if (stat.isSymbolicLink()) {
    await write(out, encodeTarHeader({ ...entry, kind: 'symlink', target: await readlink(path) }))
  } else if (stat.isFile()) await packFile(path, entry, out)
}

/** Exactly as many bytes as the header says: a file that changes meanwhile is cut or filled with zeros. */
async function packFile(path: string, entry: TarEntry, out: Writable): Promise<void> {
  const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    const { size } = await file.stat()
    await write(out, encodeTarHeader({ ...entry, size }))
    for (let at = 0; at < size; ) {
      const bytes = Math.min(READ_BYTES, size - at)
      const { bytesRead, buffer } = await file.read(Buffer.alloc(bytes), 0, bytes, at)
      const part = bytesRead === 0 ? buffer : buffer.subarray(0, bytesRead)
      await write(out, part)
      at += part.length
    }
    await write(out, Buffer.alloc(paddingOf(size)))
  } finally {
    await file.close()
  }
}

async function write(out: Writable, data: Buffer): Promise<void> {
  if (out.destroyed) throw new Error('nobody reads on')
  if (data.length === 0 || out.write(data)) return
  await new Promise<void>((resolve) => {
    const done = () => {
      out.off('drain', done).off('close', done)
      resolve()
    }
    out.on('drain', done).on('close', done)
  })
}

function ignoreVanished(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
