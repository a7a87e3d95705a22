import type { AgentRecord, WorkflowRecord } from '../../domain/records.ts'

/** What the API asks of the registry; the composition root ties it to `src/registry`. */
export type ApiRegistry = {
  /** @throws RegistryError with every problem */
  registerAgent(input: { path: string; actor: string }): Promise<AgentRecord>
  /** Every problem of the package, one line each; none: it could be registered. */
  checkAgent(input: { path: string }): Promise<readonly string[]>
  /** @throws RegistryError with every problem, with line and column */
  registerWorkflow(input: { text: string; actor: string }): Promise<WorkflowRecord>
  /** Every problem, with line and column; none: it could be registered. */
  checkWorkflow(input: { text: string }): Promise<readonly string[]>
}
