import { lstat, mkdtemp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readProcessStartTime } from '../../platform/process-identity.ts'

const NAME = /^import-(\d+)-(\d+)-[A-Za-z0-9]{6}$/

/**
 * Makes the folder in which an import keeps copies of packages for the time that the daemon reads them; the caller
 * removes it. Its name says whose it is, for an import that is killed removes nothing: the next one does.
 */
export async function makeImportStaging(parent: string): Promise<string> {
  await removeStale(parent)
  const startTime = await readProcessStartTime(process.pid)
  return await mkdtemp(join(parent, `import-${process.pid}-${startTime}-`))
}

async function removeStale(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const [, pid, startTime] = NAME.exec(name) ?? []
    if (pid === undefined || (await readProcessStartTime(Number(pid))) === startTime) continue
    const path = join(parent, name)
    // In a folder for everyone it may be somebody else's, who could put a link in its place meanwhile.
    const found = await lstat(path).catch(() => undefined)
    if (found?.uid === process.getuid?.()) await rm(path, { recursive: true, force: true })
  }
}
