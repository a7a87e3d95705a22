import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { StoreReader } from '../../store/contract.ts'

/** A copy lies there before it is recorded, `ms` */
const AGE_MS = 24 * 60 * 60 * 1000

/**
 * Removes copies of agent packages that no record names: left by a registration that was cut off.
 * @param directory holds `<name>/<version>`
 * @returns how many were removed, or would be
 */
export async function prunePackages(input: {
  readonly read: Pick<StoreReader, 'listAgents'>
  readonly directory: string
  readonly now: number
  readonly isDryRun: boolean
  readonly signal: AbortSignal
}): Promise<number> {
  const { read, directory, now, isDryRun, signal } = input
  const copies: { name: string; version: string }[] = []
  for (const name of await listFolders(directory)) {
    for (const version of await listFolders(join(directory, name))) copies.push({ name, version })
  }
  // By name and version, not by path: the same folder has several paths.
  const recorded = new Set((await read.listAgents()).map(({ name, version }) => `${name}/${version}`))
  let count = 0
  for (const { name, version } of copies) {
    signal.throwIfAborted()
    if (recorded.has(`${name}/${version}`)) continue
    const path = join(directory, name, version)
    const found = await stat(path).catch(() => undefined)
    if (found === undefined || now - found.mtimeMs < AGE_MS) continue
    if (!isDryRun) await rm(path, { recursive: true, force: true })
    count += 1
  }
  return count
}

async function listFolders(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
}
