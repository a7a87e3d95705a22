import { lstat, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join, normalize, sep } from 'node:path'
import type { MirrorCopies } from '../../forge/mirror-copies.ts'
import { type CopiedFile, copyFileDurably, digestFile, syncDirectory } from '../../platform/copy-file.ts'
import { BackupError } from './backup-error.ts'
import { listTree } from './list-tree.ts'
import { formatManifest, MANIFEST_FILE, type ManifestFile, STORE_FILE } from './manifest.ts'

export type BackupInput = {
  /** Absolute; does not exist, its parent does */
  readonly target: string
  readonly hasLogs: boolean
  readonly stateDir: string
  /** Copies the store to a file that does not exist yet, as it is at one moment */
  readonly copyStore: (path: string) => Promise<{ readonly version: number; readonly lastEventSeq: number }>
  readonly mirrors: MirrorCopies
  /** Version of the package */
  readonly swarmVersion: string
  /** `ms` since the epoch */
  readonly now: number
  readonly signal: AbortSignal
}

export type BackupReport = {
  readonly path: string
  readonly fileCount: number
  readonly bytes: number
  readonly lastEventSeq: number
  readonly mirrorCount: number
  readonly createdAt: number
  readonly durationMs: number
}

/**
 * Copies what is needed to go on into a new folder, while work goes on. The store comes first, so that everything it
 * names (work in mirrors, logs, packages) is in what is copied after it. The folder has its name only when it is
 * whole and on the disk.
 * @throws BackupError when it cannot be written there; the system's error; the signal's reason. Nothing is left then
 */
export async function createBackup(input: BackupInput): Promise<BackupReport> {
  const startedAt = performance.now()
  const { stateDir, signal, now } = input
  const target = await checkTarget(input)
  const partial = `${target}.partial`
  await makePartial(partial)
  try {
    const backup = new BackupFolder(partial, signal)
    const storePath = await backup.place(STORE_FILE)
    const store = await input.copyStore(storePath)
    await backup.addWritten(STORE_FILE)
    const projectIds = await input.mirrors.list()
    let mirrorCount = 0
    for (const projectId of projectIds) {
      const name = `mirrors/${projectId}.bundle`
      const isWritten = await input.mirrors.bundle(projectId, await backup.place(name), signal)
      if (!isWritten) continue
      await backup.addWritten(name)
      mirrorCount += 1
    }
    await backup.addTree(join(stateDir, 'registry'), 'registry')
    await backup.addTree(join(stateDir, 'artifacts'), 'artifacts')
    // An index only saves time, and could be ahead of the records that were copied before it.
    if (input.hasLogs)
      await backup.addTree(join(stateDir, 'logs'), 'logs', (path) => !path.endsWith('/index'))
    const createdAt = new Date(now).toISOString()
    const { swarmVersion, hasLogs } = input
    await backup.finish(
      formatManifest({
        swarmVersion,
        createdAt,
        store: { kind: 'sqlite', ...store },
        stateDir,
        hasLogs,
        files: [...backup.files],
      }),
    )
    signal.throwIfAborted()
    await rename(partial, target)
    await syncDirectory(dirname(target))
    return {
      path: target,
      fileCount: backup.files.length,
      bytes: backup.files.reduce((sum, { bytes }) => sum + bytes, 0),
      lastEventSeq: store.lastEventSeq,
      mirrorCount,
      createdAt: now,
      durationMs: Math.round(performance.now() - startedAt),
    }
  } catch (error) {
    await rm(partial, { recursive: true, force: true })
    throw error
  }
}

async function checkTarget({ target: given, stateDir }: BackupInput): Promise<string> {
  const target = normalize(given).replace(/\/+$/, '')
  if (!isAbsolute(target) || target === '') {
    throw new BackupError('target_refused', `cannot back up to ${given}: the path must be absolute`)
  }
  if ((await orUndefined(lstat(target))) !== undefined) {
    throw new BackupError(
      'target_exists',
      `cannot back up to ${target}: it exists; a backup goes to a new path`,
    )
  }
  const parent = await orUndefined(stat(dirname(target)))
  if (parent?.isDirectory() !== true) {
    throw new BackupError(
      'target_refused',
      `cannot back up to ${target}: the folder ${dirname(target)} does not exist or cannot be entered`,
    )
  }
  if (
    `${target}${sep}`.startsWith(`${stateDir}${sep}`) &&
    !target.startsWith(`${join(stateDir, 'backups')}${sep}`)
  ) {
    throw new BackupError(
      'target_refused',
      `cannot back up to ${target}: within the state directory only ${join(stateDir, 'backups')} may hold backups`,
    )
  }
  return target
}

async function makePartial(partial: string): Promise<void> {
  try {
    await mkdir(partial, { mode: 0o700 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why =
      code === 'EEXIST'
        ? `another backup is being written there, or was cut off: remove ${partial} then`
        : `${code}; check who owns the folder, and its disk`
    throw new BackupError('target_refused', `cannot write ${partial}: ${why}`, error)
  }
}

async function orUndefined<T>(looking: Promise<T>): Promise<T | undefined> {
  return await looking.catch(() => undefined)
}

/** The folder while it is being filled. */
class BackupFolder {
  readonly files: ManifestFile[] = []
  readonly #root: string
  readonly #signal: AbortSignal
  readonly #folders = new Set<string>()

  constructor(root: string, signal: AbortSignal) {
    this.#root = root
    this.#signal = signal
  }

  /** Where a file of that name goes; its folder is there. */
  async place(name: string): Promise<string> {
    this.#signal.throwIfAborted()
    const path = join(this.#root, name)
    const folder = dirname(path)
    if (!this.#folders.has(folder)) {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      for (let at = folder; at !== this.#root; at = dirname(at)) this.#folders.add(at)
    }
    return path
  }

  /** A file that lies in its place already. */
  async addWritten(name: string): Promise<void> {
    const path = join(this.#root, name)
    const file = await open(path, 'r+')
    try {
      await file.chmod(0o600)
      await file.sync()
    } finally {
      await file.close()
    }
    this.#add(name, await digestFile(path, this.#signal))
  }

  /** Regular files only: whatever else lies there is not ours. */
  async addTree(
    from: string,
    below: string,
    isWanted: (path: string) => boolean = () => true,
  ): Promise<void> {
    for (const { path, kind } of await listTree(from)) {
      if (kind !== 'file' || !isWanted(path)) continue
      const source = join(from, path)
      const found = await orUndefined(lstat(source))
      // What vanished since was not needed: a record of it would have kept it.
      if (found === undefined) continue
      const name = `${below}/${path}`
      const copied = await copyFileDurably(source, await this.place(name), {
        mode: 0o600,
        signal: this.#signal,
      })
      this.#add(name, copied, (found.mode & 0o100) !== 0 && below === 'registry')
    }
  }

  async finish(manifest: string): Promise<void> {
    const file = await open(join(this.#root, MANIFEST_FILE), 'wx', 0o600)
    try {
      await file.writeFile(manifest)
      await file.sync()
    } finally {
      await file.close()
    }
    for (const folder of this.#folders) await syncDirectory(folder)
    await syncDirectory(this.#root)
  }

  #add(path: string, { bytes, sha256 }: CopiedFile, isExecutable = false): void {
    this.files.push({ path, bytes, sha256, ...(isExecutable ? { isExecutable: true as const } : {}) })
  }
}
