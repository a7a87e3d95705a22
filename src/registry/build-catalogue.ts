import type { AgentRecord, WorkflowRecord } from '../domain/records.ts'
import type { Catalogue } from '../workflow/catalogue.ts'
import { parseWorkflow } from '../workflow/parse-workflow.ts'
import type { AgentManifest } from './agent-manifest.ts'
import type { RegistryRecords } from './contract.ts'
import { findNewest } from './version.ts'

/** What workflows may use: the newest version of each agent and workflow, with what it takes and gives. */
export async function buildCatalogue(records: RegistryRecords): Promise<Required<Catalogue>> {
  return toCatalogue(await records.read.listAgents(), await records.read.listWorkflows())
}

/** The same of any lists. */
export function toCatalogue(
  agents: readonly Pick<AgentRecord, 'name' | 'version' | 'createdAt' | 'manifest'>[],
  workflows: readonly Pick<WorkflowRecord, 'name' | 'version' | 'createdAt' | 'text'>[],
): Required<Catalogue> {
  return {
    agents: new Map(
      newestByName(agents).map(({ name, manifest }) => {
        const { inputs, outputs } = manifest as unknown as AgentManifest
        return [name, { inputs, outputs }]
      }),
    ),
    workflows: new Map(
      newestByName(workflows).flatMap(({ name, text }) => {
        const parsed = parseWorkflow(text)
        if (!parsed.ok) return []
        const { inputs, outputs } = parsed.workflow
        return [[name, outputs === undefined ? { inputs } : { inputs, outputs: Object.keys(outputs) }]]
      }),
    ),
  }
}

function newestByName<
  T extends { readonly name: string; readonly version: string; readonly createdAt: number },
>(records: readonly T[]): readonly T[] {
  return [...Map.groupBy(records, ({ name }) => name).values()].flatMap(
    (versions) => findNewest(versions) ?? [],
  )
}
