import {
  type DirectoryFile,
  DirectoryRefusedError,
  digestFiles,
  readDirectoryFiles,
} from '../platform/directory-files.ts'
import { type AgentManifest, MANIFEST_FILE } from './agent-manifest.ts'
import { RegistryError } from './contract.ts'
import { parseManifest } from './parse-manifest.ts'

/** An agent package as it lies in a directory, checked. */
export type ReadPackage = {
  readonly manifest: AgentManifest
  readonly files: readonly DirectoryFile[]
  readonly digest: string
}

/** Largest package; more belongs into the sandbox's template */
export const PACKAGE_LIMITS = { fileCountMax: 500, bytesMax: 16 * 1024 * 1024 }

/**
 * Reads and checks the package in a directory.
 * @throws RegistryError `package_invalid` (the directory), `manifest_invalid` (`agent.yaml`)
 */
export async function readPackage(directory: string, signal?: AbortSignal): Promise<ReadPackage> {
  const files = await readFiles(directory, signal)
  const manifestFile = files.find((file) => file.path === MANIFEST_FILE)
  if (manifestFile === undefined) {
    throw new RegistryError('package_invalid', `${directory} has no ${MANIFEST_FILE}`)
  }
  const parsed = parseManifest(manifestFile.content.toString('utf8'), MANIFEST_FILE)
  if (!parsed.ok) {
    throw new RegistryError('manifest_invalid', `the manifest in ${directory} is not valid`, parsed.problems)
  }
  const { entry, runtime } = parsed.manifest
  const entryFile = files.find((file) => file.path === entry)
  if (entryFile === undefined) {
    throw new RegistryError(
      'package_invalid',
      `${directory} has no file ${entry}, which its manifest names as entry`,
    )
  }
  if (runtime === 'exec' && !entryFile.isExecutable) {
    throw new RegistryError(
      'package_invalid',
      `${entry} in ${directory} is not executable: run chmod +x on it`,
    )
  }
  return { manifest: parsed.manifest, files, digest: digestFiles(files) }
}

async function readFiles(
  directory: string,
  signal: AbortSignal | undefined,
): Promise<readonly DirectoryFile[]> {
  try {
    return await readDirectoryFiles(directory, PACKAGE_LIMITS, signal)
  } catch (cause) {
    if (signal?.aborted) throw cause
    const why =
      cause instanceof DirectoryRefusedError
        ? cause.message
        : `${(cause as NodeJS.ErrnoException).code ?? 'it cannot be read'}`
    throw new RegistryError(
      'package_invalid',
      `cannot take the agent package in ${directory}: ${why}`,
      [],
      cause,
    )
  }
}
