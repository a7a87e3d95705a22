import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { RegistryError, type RegistryRecords } from './contract.ts'
import { readPackage } from './read-package.ts'
import { registerAgent } from './register-agent.ts'
import { digestText, readWorkflow } from './register-workflow.ts'

/** Where agents and workflows that come with Swarm lie; the build copies the folder as it is. */
export const SHIPPED_DIRECTORY = fileURLToPath(new URL('./shipped/', import.meta.url))

const ACTOR = 'swarm'
const DIGEST_CHARS = 8

type Place = { readonly records: RegistryRecords; readonly directory: string; readonly shipped: string }

/**
 * Records the shipped agents and workflows. One whose version is already taken by another content (an update
 * that kept the version) is recorded as `<version>+<digest>`, which sorts as the same version and is newer: an
 * update never keeps the coordinator from starting.
 */
export async function registerShipped(place: Place, signal?: AbortSignal): Promise<void> {
  for (const name of await listEntries(join(place.shipped, 'agents'))) {
    signal?.throwIfAborted()
    await registerShippedAgent(place, join(place.shipped, 'agents', name), signal)
  }
  for (const file of await listEntries(join(place.shipped, 'workflows'))) {
    signal?.throwIfAborted()
    if (file.endsWith('.yaml')) await registerShippedWorkflow(place, file)
  }
}

async function registerShippedAgent(place: Place, directory: string, signal?: AbortSignal): Promise<void> {
  const read = await readPackage(directory, signal)
  const options = { actor: ACTOR, source: 'shipped' } as const
  try {
    await registerAgent(place, read, options)
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code !== 'version_taken') throw error
    const version = `${read.manifest.version}+${read.digest.slice(0, DIGEST_CHARS)}`
    await registerAgent(place, { ...read, manifest: { ...read.manifest, version } }, options)
  }
}

async function registerShippedWorkflow({ records, shipped }: Place, file: string): Promise<void> {
  const text = await readFile(join(shipped, 'workflows', file), 'utf8')
  const { name, version } = readWorkflow(text, { file })
  const recorded = await records.read.findWorkflow({ name, version })
  // A user's own workflow of that name and version stays what it is.
  if (recorded !== undefined && recorded.source !== 'shipped') return
  const digest = digestText(text)
  if (recorded?.digest === digest) return
  const free = recorded === undefined ? version : `${version}+${digest.slice(0, DIGEST_CHARS)}`
  await records.write.registerWorkflow({ name, version: free, text, digest, source: 'shipped', actor: ACTOR })
}

async function listEntries(directory: string): Promise<readonly string[]> {
  return (await readdir(directory)).filter((name) => !name.startsWith('.')).sort()
}
