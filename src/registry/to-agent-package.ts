import type { AgentRecord } from '../domain/records.ts'
import type { AgentManifest } from './agent-manifest.ts'
import { checkValue } from './check-value.ts'
import type { AgentPackage } from './contract.ts'

/** What adapters run, from what the store keeps. */
export function toAgentPackage(record: AgentRecord): AgentPackage {
  // Written by `registerAgent` from a parsed manifest; nothing else writes this column.
  const manifest = record.manifest as unknown as AgentManifest
  const can = (capability: AgentManifest['capabilities'][number]) =>
    manifest.capabilities.includes(capability)
  return {
    name: record.name,
    version: record.version,
    description: manifest.description,
    digest: record.digest,
    directory: record.path,
    runtime: manifest.runtime,
    entry: manifest.entry,
    workspace: toWorkspaceNeed(manifest.workspace),
    memoryMib: manifest.memoryMib,
    timeoutMs: manifest.timeoutMs,
    network: manifest.network,
    capabilities: { resume: can('resume'), send: can('send'), interrupt: can('interrupt') },
    checkInputs: (value) => checkValue({ schema: manifest.inputs, value, fillsDefaults: true }),
    checkOutputs: (value) => checkValue({ schema: manifest.outputs, value, fillsDefaults: false }),
  }
}

function toWorkspaceNeed(workspace: AgentManifest['workspace']): AgentPackage['workspace'] {
  if (workspace === 'optional') return 'optional'
  return workspace ? 'required' : 'none'
}
