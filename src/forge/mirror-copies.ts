import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ProjectId } from '../domain/id.ts'
import { createGit, type RunProcess } from './git-command.ts'
import { ensureRepository } from './mirrors.ts'

/** Whole copies of mirrors as one file each, with all that any of their names holds: for backups. */
export type MirrorCopies = {
  /** Projects that have a mirror */
  list(): Promise<readonly ProjectId[]>
  /**
   * Writes every name and what it holds, as they are at one moment, to a file that does not exist yet.
   * @returns `false` when the mirror has nothing; then there is no file
   */
  bundle(projectId: ProjectId, path: string, signal: AbortSignal): Promise<boolean>
  /** Makes a mirror of such a file, where there is none. */
  restore(projectId: ProjectId, path: string, signal: AbortSignal): Promise<void>
}

const TIMEOUT_MS = 60 * 60_000
const NAME = /^(prj_[A-Za-z0-9_-]+)\.git$/

export function createMirrorCopies(input: {
  readonly mirrorsDir: string
  readonly run: RunProcess
}): MirrorCopies {
  const { mirrorsDir } = input
  const git = createGit({ run: input.run, homeDir: join(mirrorsDir, '.home') })
  const toGitDir = (projectId: ProjectId) => join(mirrorsDir, `${projectId}.git`)
  return {
    async list() {
      const names = await readdir(mirrorsDir).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return []
        throw error
      })
      return names.flatMap((name) => {
        const [, projectId] = NAME.exec(name) ?? []
        return projectId === undefined ? [] : [projectId as ProjectId]
      })
    },
    async bundle(projectId, path, signal) {
      const gitDir = toGitDir(projectId)
      const names = await git({
        attempt: 'list what the mirror holds',
        args: ['for-each-ref', '--count=1', '--format=%(refname)'],
        gitDir,
        signal,
      })
      if (names.stdout.length === 0) return false
      await git({
        attempt: 'bundle the mirror',
        args: ['bundle', 'create', '--quiet', path, '--all'],
        gitDir,
        signal,
        timeoutMs: TIMEOUT_MS,
      })
      return true
    },
    async restore(projectId, path, signal) {
      const gitDir = toGitDir(projectId)
      await ensureRepository(git, gitDir, signal)
      await git({
        attempt: 'take the mirror from its bundle',
        args: ['fetch', '--quiet', '--no-tags', '--no-write-fetch-head', '--', path, '+refs/*:refs/*'],
        gitDir,
        env: { GIT_ALLOW_PROTOCOL: 'file' },
        signal,
        timeoutMs: TIMEOUT_MS,
      })
    },
  }
}
