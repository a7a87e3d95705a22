/** Backup and restore of everything that a daemon keeps, put together from their parts. */
import { join } from 'node:path'
import type { Config } from './config/config.ts'
import { BackupError } from './coordinator/backup/backup-error.ts'
import { type BackupReport, createBackup } from './coordinator/backup/create-backup.ts'
import { restoreBackup } from './coordinator/backup/restore-backup.ts'
import { createMirrorCopies } from './forge/mirror-copies.ts'
import { runProcess } from './platform/process.ts'
import type { Store } from './store/contract.ts'
import { MIGRATIONS } from './store/migrations/list.ts'
import { copyStoppedStore, inspectCopy, relocateCopy } from './store/sqlite/store-copy.ts'

export type BackupRequest = {
  /** Absolute; does not exist */
  readonly target: string
  readonly hasLogs: boolean
  readonly swarmVersion: string
  readonly signal: AbortSignal
}

/** While the daemon runs, through its own store. @throws BackupError */
export async function backUpState(
  config: Config,
  store: Pick<Store, 'backup'>,
  request: BackupRequest,
): Promise<BackupReport> {
  return await backUp(config, request, (path) => store.backup(path))
}

/** While no daemon runs; the store is copied as it is, whatever version it has. @throws BackupError, StoreError */
export async function backUpStopped(config: Config, request: BackupRequest): Promise<BackupReport> {
  const storePath = getStorePath(config)
  return await backUp(config, request, (path) => copyStoppedStore(storePath, path))
}

async function backUp(
  config: Config,
  request: BackupRequest,
  copy: (path: string) => Promise<void>,
): Promise<BackupReport> {
  getStorePath(config)
  return await createBackup({
    ...request,
    stateDir: config.stateDir,
    mirrors: createMirrorCopies({ mirrorsDir: join(config.stateDir, 'mirrors'), run: runProcess }),
    now: Date.now(),
    async copyStore(path) {
      await copy(path)
      return await inspectCopy(path)
    },
  })
}

export type RestoredState = {
  readonly stateDir: string
  /** ISO 8601 in UTC */
  readonly createdAt: string
  readonly fileCount: number
  readonly lastEventSeq: number
}

/** Fills the empty state directory of this configuration from a backup. @throws BackupError, StoreError */
export async function restoreState(
  config: Config,
  source: string,
  signal: AbortSignal,
): Promise<RestoredState> {
  const storePath = getStorePath(config)
  const { stateDir } = config
  const manifest = await restoreBackup({
    source,
    stateDir,
    storePath,
    adoptStore: (path, from) => relocateCopy(path, { versionMax: MIGRATIONS.length, from, to: stateDir }),
    openMirrors: (mirrorsDir) => createMirrorCopies({ mirrorsDir, run: runProcess }),
    signal,
  })
  const { createdAt, files, store } = manifest
  return { stateDir, createdAt, fileCount: files.length, lastEventSeq: store.lastEventSeq }
}

/** @throws BackupError when the store is not a file of ours */
function getStorePath({ store }: Config): string {
  if (store.kind === 'sqlite') return store.path
  throw new BackupError(
    'unsupported',
    'the store is a database of its own: back up and restore it with its own means, and the state directory with it',
  )
}
