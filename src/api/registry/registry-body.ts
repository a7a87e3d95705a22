import type { AgentRecord, WorkflowRecord } from '../../domain/records.ts'
import { toInstant } from '../instant.ts'

/** Without `path`: where the package lies is the host's business. */
export function toAgentBody(agent: AgentRecord) {
  const { id, name, version, manifest, digest, source } = agent
  return { id, name, version, manifest, digest, source, createdAt: toInstant(agent.createdAt) }
}

export function toWorkflowBody(workflow: WorkflowRecord) {
  return { ...workflow, createdAt: toInstant(workflow.createdAt) }
}
