import { join } from 'node:path'
import type { JsonObject } from '../domain/json.ts'
import type { AgentRecord } from '../domain/records.ts'
import { RegistryError, type RegistryRecords } from './contract.ts'
import { keepPackage } from './keep-package.ts'
import type { ReadPackage } from './read-package.ts'

/**
 * Copies a package that was read and checked to `<directory>/<name>/<version>` and records it.
 * @throws RegistryError `version_taken` when that version has another content
 */
export async function registerAgent(
  { records, directory }: { readonly records: RegistryRecords; readonly directory: string },
  read: ReadPackage,
  options: { readonly actor: string; readonly source: AgentRecord['source'] },
): Promise<AgentRecord> {
  const { manifest, digest } = read
  const { name, version } = manifest
  const recorded = await records.read.findAgent({ name, version })
  if (recorded !== undefined && recorded.digest !== digest) {
    throw new RegistryError(
      'version_taken',
      `agent ${name} ${version} is registered with another content: raise the version in its manifest`,
    )
  }
  const path = recorded?.path ?? join(directory, name, version)
  await keepPackage(path, read, { isRecorded: recorded !== undefined })
  if (recorded !== undefined) return recorded
  return await records.write.registerAgent({
    name,
    version,
    digest,
    path,
    manifest: manifest as unknown as JsonObject,
    source: options.source,
    actor: options.actor,
  })
}
