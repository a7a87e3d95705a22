import { constants } from 'node:fs'
import { chmod, lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ProjectId } from '../../domain/id.ts'
import type { MirrorCopies } from '../../forge/mirror-copies.ts'
import { copyFileDurably, syncDirectory } from '../../platform/copy-file.ts'
import { makePrivateDirectory } from '../../platform/private-directory.ts'
import { BackupError } from './backup-error.ts'
import { listTree } from './list-tree.ts'
import { MANIFEST_FILE, type Manifest, type ManifestFile, parseManifest, STORE_FILE } from './manifest.ts'

export type RestoreInput = {
  /** Folder that `createBackup` made */
  readonly source: string
  /** Absolute; empty or absent */
  readonly stateDir: string
  /** Absolute; where the store goes, most often in the state directory */
  readonly storePath: string
  /** Checks the copied store and turns paths in it from the old state directory to the new one */
  readonly adoptStore: (path: string, from: string) => Promise<void>
  /** Of a folder of mirrors */
  readonly openMirrors: (mirrorsDir: string) => MirrorCopies
  readonly signal: AbortSignal
}

/** Lies in a state directory while it is filled; a daemon refuses to start on it. */
export const RESTORE_FOLDER = 'restore.partial'
const MANIFEST_BYTES_MAX = 256 * 1024 * 1024

/**
 * Fills an empty state directory from a backup. Everything is copied, compared with its checksum and made whole aside;
 * only then it gets its place, the store last.
 * @throws BackupError when the backup or the place is refused: nothing was changed; the system's error
 */
export async function restoreBackup(input: RestoreInput): Promise<Manifest> {
  const { stateDir, storePath, signal } = input
  const manifest = await readManifest(input.source)
  await assertSameFiles(input.source, manifest)
  await assertEmpty(stateDir, storePath)
  await makePrivateDirectory(stateDir)
  const aside = join(stateDir, RESTORE_FOLDER)
  await mkdir(aside, { mode: 0o700 })
  try {
    for (const file of manifest.files) await copyChecked(input.source, aside, file, signal)
    await input.adoptStore(join(aside, STORE_FILE), manifest.stateDir)
    await restoreMirrors(input, manifest, aside)
  } catch (error) {
    await rm(aside, { recursive: true, force: true })
    throw error
  }
  for (const name of ['mirrors', 'registry', 'artifacts', 'logs']) {
    await moveIfThere(join(aside, name), join(stateDir, name))
  }
  await placeStore(join(aside, STORE_FILE), storePath, signal)
  await rm(aside, { recursive: true })
  await syncDirectory(stateDir)
  return manifest
}

async function readManifest(source: string): Promise<Manifest> {
  const path = join(source, MANIFEST_FILE)
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      const found = await file.stat()
      if (!found.isFile() || found.size > MANIFEST_BYTES_MAX) throw new Error('it is no file of that kind')
      return parseManifest(await file.readFile('utf8'))
    } finally {
      await file.close()
    }
  } catch (error) {
    if (error instanceof BackupError) throw error
    const why = error instanceof Error ? error.message : String(error)
    throw new BackupError('damaged', `${source} is not a backup, or not a whole one: ${why}`, error)
  }
}

/** What is there is what the manifest names, and nothing else: no link, no further file. */
async function assertSameFiles(source: string, manifest: Manifest): Promise<void> {
  const named = new Set<string>([MANIFEST_FILE, ...manifest.files.map(({ path }) => path)])
  if (!named.has(STORE_FILE)) throw refuse(source, `it has no ${STORE_FILE}`)
  for (const { path, kind } of await listTree(source)) {
    if (kind === 'directory') continue
    if (kind !== 'file') throw refuse(source, `${path} is neither a file nor a folder`)
    if (!named.delete(path)) throw refuse(source, `${path} is not in its manifest`)
  }
  const [missing] = named
  if (missing !== undefined) throw refuse(source, `${missing} is missing`)
}

async function assertEmpty(stateDir: string, storePath: string): Promise<void> {
  const names = await readdir(stateDir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  if (names.length > 0) {
    const some = names.slice(0, 3).join(', ')
    throw new BackupError(
      'not_empty',
      `cannot restore to ${stateDir}: it is not empty (${some}); stop its daemon and move it away, or name another with --state-dir`,
    )
  }
  if ((await lstat(storePath).catch(() => undefined)) !== undefined) {
    throw new BackupError('not_empty', `cannot restore the store to ${storePath}: it exists; move it away`)
  }
}

async function copyChecked(
  source: string,
  aside: string,
  file: ManifestFile,
  signal: AbortSignal,
): Promise<void> {
  const to = join(aside, file.path)
  const isPackage = file.path.startsWith('registry/')
  await mkdir(dirname(to), { recursive: true, mode: isPackage ? 0o755 : 0o700 })
  const copied = await copyFileDurably(join(source, file.path), to, { mode: 0o600, signal })
  if (copied.bytes !== file.bytes || copied.sha256 !== file.sha256) {
    throw refuse(source, `${file.path} is damaged: it is not what the manifest says`)
  }
  // As the registry keeps them: nobody changes a package that is registered.
  if (isPackage) await chmod(to, file.isExecutable === true ? 0o555 : 0o444)
}

async function restoreMirrors(input: RestoreInput, manifest: Manifest, aside: string): Promise<void> {
  const mirrorsDir = join(aside, 'mirrors')
  const mirrors = input.openMirrors(mirrorsDir)
  for (const { path } of manifest.files) {
    const [, projectId] = /^mirrors\/(prj_[A-Za-z0-9_-]+)\.bundle$/.exec(path) ?? []
    if (projectId === undefined) continue
    await mirrors.restore(projectId as ProjectId, join(aside, path), input.signal)
    await rm(join(aside, path))
  }
}

async function moveIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

/** Another file system may hold it; then it is copied beside its place first. */
async function placeStore(from: string, to: string, signal: AbortSignal): Promise<void> {
  try {
    await rename(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error
    await copyFileDurably(from, `${to}.${RESTORE_FOLDER}`, { mode: 0o600, signal })
    await rename(`${to}.${RESTORE_FOLDER}`, to)
  }
  await syncDirectory(dirname(to))
}

function refuse(source: string, why: string): BackupError {
  return new BackupError('damaged', `the backup ${source} is refused: ${why}; nothing was changed`)
}
