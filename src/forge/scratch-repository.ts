import { randomUUID } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { MirrorRepository } from './bare-mirror.ts'

/**
 * A bare repository for one operation that reads the mirror's objects and has only the refs given here, so what
 * arrives is kept apart until it is checked, and what leaves names nothing else. Gone when the work is over.
 */
export async function withScratchRepository<T>(
  mirror: MirrorRepository,
  refs: Readonly<Record<string, string>>,
  signal: AbortSignal,
  work: (gitDir: string) => Promise<T>,
): Promise<T> {
  await mkdir(mirror.scratchDir, { recursive: true, mode: 0o700 })
  const gitDir = join(mirror.scratchDir, `${randomUUID()}.git`)
  try {
    await mirror.git({
      attempt: 'create a scratch repository',
      args: ['init', '--quiet', '--bare', '--template=', '--', gitDir],
      signal,
    })
    await mkdir(join(gitDir, 'objects', 'info'), { recursive: true })
    await writeFile(join(gitDir, 'objects', 'info', 'alternates'), `${join(mirror.gitDir, 'objects')}\n`)
    const stdin = Object.entries(refs)
      .map(([ref, commit]) => `create ${ref} ${commit}\n`)
      .join('')
    await mirror.git({ attempt: 'set scratch refs', args: ['update-ref', '--stdin'], gitDir, stdin, signal })
    return await work(gitDir)
  } finally {
    await rm(gitDir, { recursive: true, force: true })
  }
}
