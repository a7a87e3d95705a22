import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** Gives the work a private folder of this host for files on their way into or out of a sandbox; removed after it. */
export async function withTransferDirectory<T>(
  stateDir: string,
  name: string,
  work: (directory: string) => Promise<T>,
): Promise<T> {
  const directory = join(stateDir, FOLDER, name)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  try {
    return await work(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

const FOLDER = 'tmp'

/** What processes before this one left; called before anything is transferred. */
export async function removeStaleTransfers(stateDir: string): Promise<void> {
  await rm(join(stateDir, FOLDER), { recursive: true, force: true })
}
