import type { WorkflowId } from '../domain/id.ts'
import type { StoreReader } from '../store/contract.ts'
import { parseWorkflow } from '../workflow/parse-workflow.ts'
import type { Workflow } from '../workflow/workflow.ts'

export type LoadedWorkflow =
  | { readonly ok: true; readonly workflow: Workflow }
  | { readonly ok: false; readonly detail: string }

const CACHE_SIZE_MAX = 200
/** A registered version never changes, so what was parsed once is good for ever. */
const cache = new Map<WorkflowId, Workflow>()

/** The workflow that a run began with. It was valid when it was registered; a newer Swarm may still refuse it. */
export async function loadWorkflow(read: StoreReader, workflowId: WorkflowId): Promise<LoadedWorkflow> {
  const cached = cache.get(workflowId)
  if (cached !== undefined) return { ok: true, workflow: cached }
  const record = await read.findWorkflow({ workflowId })
  if (record === undefined) return { ok: false, detail: `workflow ${workflowId} is not in the store` }
  const parsed = parseWorkflow(record.text, { file: `${record.name}@${record.version}` })
  if (!parsed.ok) {
    const first = parsed.errors[0]
    return { ok: false, detail: `${record.name}@${record.version} line ${first?.line}: ${first?.message}` }
  }
  if (cache.size >= CACHE_SIZE_MAX) cache.clear()
  cache.set(workflowId, parsed.workflow)
  return { ok: true, workflow: parsed.workflow }
}
