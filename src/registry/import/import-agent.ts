import { rm } from 'node:fs/promises'
import { type DirectoryFile, readDirectoryFiles } from '../../platform/directory-files.ts'
import { type AgentManifest, MANIFEST_FILE } from '../agent-manifest.ts'
import { RegistryError } from '../contract.ts'
import { writeCopy } from '../keep-package.ts'
import { PACKAGE_LIMITS, type ReadPackage, readPackage } from '../read-package.ts'
import type { Candidate } from './candidate.ts'
import type { ImportOptions } from './import-registry.ts'
import { toAgentManifest } from './to-agent-manifest.ts'

export type ImportedAgent = { readonly candidate: Candidate; readonly manifest: AgentManifest }

type AgentOptions = Pick<ImportOptions, 'target' | 'stagingDirectory' | 'signal'>

/**
 * Takes one agent: copies its program, makes a manifest where it has none, checks the copy as any package is
 * checked, and registers it from there. Its own directory is only read.
 * @returns `undefined` when it was refused; why is in its findings
 */
export async function importAgent(
  candidate: Candidate,
  options: AgentOptions,
): Promise<ImportedAgent | undefined> {
  const { directory, findings } = candidate
  if (findings.problems.length > 0 || directory === undefined) return undefined
  try {
    const files = await readProgram(candidate, directory, options)
    if (files === undefined) return undefined
    const copy = await writeCopy(options.stagingDirectory, files)
    try {
      return await registerCopy(candidate, copy, options)
    } finally {
      await rm(copy, { recursive: true, force: true })
    }
  } catch (error) {
    if (options.signal?.aborted) throw error
    // Foreign directories are full of surprises: what the system or the check says is about this one only.
    if (!isAboutFiles(error)) throw error
    findings.problems.push(`its directory ${directory} cannot be taken: ${error.message}`)
    return undefined
  }
}

/** A full disk is ours, where the copy is written: no other one could be taken either. */
function isAboutFiles(error: unknown): error is Error {
  if (!(error instanceof Error)) return false
  const { code, syscall } = error as NodeJS.ErrnoException
  if (code === 'ENOSPC' || code === 'EDQUOT') return false
  return error.name === 'DirectoryRefusedError' || syscall !== undefined
}

/** What other tools keep beside a program and changes without it. */
const OMITTED = /(^|\/)(\.git|__pycache__)$/

async function readProgram(
  { name, version, fields, hasManifest, findings }: Candidate,
  directory: string,
  { signal }: AgentOptions,
): Promise<readonly DirectoryFile[] | undefined> {
  if (hasManifest === true) return await readDirectoryFiles(directory, PACKAGE_LIMITS, signal)
  const omitted: string[] = []
  const isOmitted = (path: string) => OMITTED.test(path) && omitted.push(path) > 0
  const files = await readDirectoryFiles(directory, { ...PACKAGE_LIMITS, isOmitted }, signal)
  if (name === undefined || version === undefined) return undefined
  const agent = {
    name,
    version,
    description: fields.get('description'),
    runtime: fields.get('runtime'),
    capabilities: fields.get('capabilities'),
    entry: fields.get('entry'),
    files,
  }
  const text = toAgentManifest(agent, findings)
  if (omitted.length > 0) findings.notes.push(`not copied: ${omitted.slice(0, 5).join(', ')}`)
  if (text === undefined) return undefined
  return [...files, { path: MANIFEST_FILE, isExecutable: false, content: Buffer.from(text) }]
}

async function registerCopy(
  candidate: Candidate,
  copy: string,
  { target, signal }: AgentOptions,
): Promise<ImportedAgent | undefined> {
  const { findings } = candidate
  const read = await readPackage(copy, signal).catch((error) => {
    if (!(error instanceof RegistryError)) throw error
    const problems = error.problems.length > 0 ? error.problems : [error.message]
    findings.problems.push(...problems.map((problem) => problem.replaceAll(copy, candidate.directory ?? '')))
  })
  if (read === undefined) return undefined
  const problem = findConflict(candidate, read, target)
  if (problem !== undefined) {
    findings.problems.push(problem)
    return undefined
  }
  const refusal = candidate.isUnchanged ? undefined : await target.register?.agent(copy)
  if (refusal !== undefined) {
    findings.problems.push(refusal.replaceAll(copy, candidate.directory ?? ''))
    return undefined
  }
  return { candidate, manifest: read.manifest }
}

/** Why it cannot stand beside what is registered; also finds out that it is what is registered. */
function findConflict(
  candidate: Candidate,
  { manifest, digest }: ReadPackage,
  { known }: AgentOptions['target'],
): string | undefined {
  const { name, version } = manifest
  const same = known?.agents.filter((agent) => agent.name === name) ?? []
  const recorded = same.find((agent) => agent.version === version)
  if (recorded?.digest === digest) {
    candidate.isUnchanged = true
    return undefined
  }
  const fix = candidate.hasManifest === true ? 'change it in its agent.yaml' : 'change it in the table'
  if (same.some(({ source }) => source === 'shipped')) {
    const rename = candidate.hasManifest === true ? fix : `give --rename agents.<name>=<ours>`
    return `an agent ${name} comes with Swarm, and every workflow that names it would get this one: ${rename}`
  }
  if (recorded === undefined) return undefined
  return `${name} ${version} is registered with another content, and a version never changes: raise it, ${fix}`
}
