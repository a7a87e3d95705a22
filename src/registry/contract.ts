import type { JsonObject } from '../domain/json.ts'

/** What the registry keeps in the store; the composition root implements it with the store's methods. */
export interface RegistryRecords {
  /**
   * `saved`: new; `unchanged`: the same digest was there; `conflict`: this name and version exist with another
   * digest, nothing was written. One transaction.
   */
  saveAgent(record: AgentRecord): Promise<SaveResult>
  listAgents(): Promise<readonly AgentRecord[]>
  /** Without a version: any order of preference will do, the registry picks the newest from `listAgents` */
  findAgent(name: string, version: string): Promise<AgentRecord | undefined>

  saveWorkflow(record: WorkflowRecord): Promise<SaveResult>
  listWorkflows(): Promise<readonly WorkflowRecord[]>
  findWorkflow(name: string, version: string): Promise<WorkflowRecord | undefined>
}

export type SaveResult = 'saved' | 'unchanged' | 'conflict'

export type Origin = 'shipped' | 'registered'

export type AgentRecord = {
  readonly name: string
  readonly version: string
  readonly origin: Origin
  /** SHA-256, hexadecimal */
  readonly digest: string
  /** The parsed manifest */
  readonly manifest: JsonObject
  /** Host directory of the immutable copy */
  readonly directory: string
}

export type WorkflowRecord = {
  readonly name: string
  readonly version: string
  readonly origin: Origin
  /** SHA-256 of the text, hexadecimal */
  readonly digest: string
  /** The YAML as it was given */
  readonly source: string
}
