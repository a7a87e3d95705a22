import { randomBytes } from 'node:crypto'
import { chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type DirectoryFile, digestFiles, readDirectoryFiles } from '../platform/directory-files.ts'
import { RegistryError } from './contract.ts'
import type { ReadPackage } from './read-package.ts'

const KEPT_LIMITS = { fileCountMax: 1_000, bytesMax: 64 * 1024 * 1024 }

/**
 * Keeps a copy of the package in `directory`, read-only and complete or not at all. A copy that is already there
 * stays when it is the same, and is put in order when something happened to it.
 * @param isRecorded whether this version with this digest is in the records: then the copy may be replaced
 * @throws RegistryError `version_taken` when another content has that place
 */
export async function keepPackage(
  directory: string,
  kept: ReadPackage,
  { isRecorded }: { readonly isRecorded: boolean },
): Promise<void> {
  const parent = dirname(directory)
  await mkdir(parent, { recursive: true, mode: 0o755 })
  const found = await findDigest(directory)
  if (found === kept.digest) return
  const fresh = await writeCopy(parent, kept.files)
  try {
    if (found !== undefined && isRecorded) await moveAside(directory, parent)
    await rename(fresh, directory)
  } catch (cause) {
    await rm(fresh, { recursive: true, force: true })
    // Another registration of the same content may just have been faster.
    if ((await findDigest(directory)) === kept.digest) return
    const { name, version } = kept.manifest
    throw new RegistryError(
      'version_taken',
      `agent ${name} ${version} is in the registry with another content: raise the version in its manifest`,
      [],
      cause,
    )
  }
}

/** Digest of what lies there; `undefined` when nothing does, empty when it cannot be a package any more. */
async function findDigest(directory: string): Promise<string | undefined> {
  try {
    return digestFiles(await readDirectoryFiles(directory, KEPT_LIMITS))
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : ''
  }
}

/** Writes the files into a new directory of `parent`, read-only; the caller moves or removes it. */
export async function writeCopy(parent: string, files: readonly DirectoryFile[]): Promise<string> {
  const directory = join(parent, `.new-${randomBytes(6).toString('hex')}`)
  await mkdir(directory, { mode: 0o755 })
  try {
    for (const { path, isExecutable, content } of files) {
      const target = join(directory, path)
      await mkdir(dirname(target), { recursive: true, mode: 0o755 })
      await writeFile(target, content, { flag: 'wx' })
      await chmod(target, isExecutable ? 0o555 : 0o444)
    }
    return directory
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    throw error
  }
}

async function moveAside(directory: string, parent: string): Promise<void> {
  const aside = join(parent, `.old-${randomBytes(6).toString('hex')}`)
  await rename(directory, aside)
  await rm(aside, { recursive: true, force: true })
}
