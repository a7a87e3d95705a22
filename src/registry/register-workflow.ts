import { createHash } from 'node:crypto'
import type { WorkflowRecord } from '../domain/records.ts'
import type { Catalogue } from '../workflow/catalogue.ts'
import { parseWorkflow } from '../workflow/parse-workflow.ts'
import type { Workflow } from '../workflow/workflow.ts'
import { formatWorkflowError } from '../workflow/workflow-error.ts'
import { buildCatalogue } from './build-catalogue.ts'
import { RegistryError, type RegistryRecords } from './contract.ts'

/**
 * Checks a workflow's text, also against the agents and workflows there are, and records it.
 * @throws RegistryError `workflow_invalid`, or `version_taken` when that version has another text
 */
export async function registerWorkflow(
  records: RegistryRecords,
  text: string,
  options: { readonly actor: string; readonly source: WorkflowRecord['source'] },
): Promise<WorkflowRecord> {
  const { name, version } = readWorkflow(text, { catalogue: await buildCatalogue(records) })
  const digest = digestText(text)
  const recorded = await records.read.findWorkflow({ name, version })
  if (recorded !== undefined && recorded.digest !== digest) {
    throw new RegistryError(
      'version_taken',
      `workflow ${name} ${version} is registered with another text: raise its version`,
    )
  }
  return (
    recorded ??
    (await records.write.registerWorkflow({
      name,
      version,
      text,
      digest,
      source: options.source,
      actor: options.actor,
    }))
  )
}

/**
 * @param options.catalogue absent: agents and workflows that it names are not looked up
 * @throws RegistryError `workflow_invalid`, with a line per problem
 */
export function readWorkflow(
  text: string,
  { file = 'workflow.yaml', catalogue = {} }: { readonly file?: string; readonly catalogue?: Catalogue } = {},
): Workflow {
  const parsed = parseWorkflow(text, { file, catalogue })
  if (parsed.ok) return parsed.workflow
  throw new RegistryError(
    'workflow_invalid',
    `${file} is not a valid workflow`,
    parsed.errors.map(formatWorkflowError),
  )
}

export function digestText(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex')
}
