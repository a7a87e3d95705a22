import type { AgentRecord, WorkflowRecord } from '../domain/records.ts'
import type { StoreReader, StoreWriter } from '../store/contract.ts'
import type { Catalogue } from '../workflow/catalogue.ts'
import type { Workflow } from '../workflow/workflow.ts'
import type { AgentManifest } from './agent-manifest.ts'
import type { ValueCheck } from './check-value.ts'

/** The slice of the store that the registry keeps its records in; a `Store` fits as it is. */
export type RegistryRecords = {
  readonly read: Pick<StoreReader, 'findAgent' | 'listAgents' | 'findWorkflow' | 'listWorkflows'>
  readonly write: Pick<StoreWriter, 'registerAgent' | 'registerWorkflow'>
}

/** The registry refused or could not do what was asked; nothing was changed. */
export class RegistryError extends Error {
  readonly code: RegistryErrorCode
  /** One line each, with file, line and column where there is one */
  readonly problems: readonly string[]

  constructor(code: RegistryErrorCode, message: string, problems: readonly string[] = [], cause?: unknown) {
    super(problems.length === 0 ? message : `${message}:\n  ${problems.join('\n  ')}`, { cause })
    this.name = 'RegistryError'
    this.code = code
    this.problems = problems
  }
}

export type RegistryErrorCode =
  | 'not_found'
  | 'manifest_invalid'
  | 'package_invalid'
  | 'workflow_invalid'
  | 'version_taken'
  | 'package_changed'

export type Validation = { readonly isValid: boolean; readonly problems: readonly string[] }

/** Agents and workflows: validated, versioned, listed. Without a version the newest one is meant. */
export interface Registry {
  listAgents(): Promise<readonly AgentRecord[]>
  /** @throws RegistryError `not_found` */
  getAgent(name: string, version?: string): Promise<AgentRecord>
  /** The agent ready to run, or `undefined` when there is none of that name and version. */
  findPackage(name: string, version?: string): Promise<AgentPackage | undefined>
  /**
   * Checks the package in a directory of this host, copies it and records it. The same content again changes
   * nothing.
   * @throws RegistryError `package_invalid`, `manifest_invalid`, `version_taken`
   */
  registerAgent(directory: string, options: RegisterOptions): Promise<AgentRecord>
  validateAgent(directory: string): Promise<Validation>

  listWorkflows(): Promise<readonly WorkflowRecord[]>
  /** @throws RegistryError `not_found` */
  getWorkflow(name: string, version?: string): Promise<WorkflowRecord>
  /** Parsed; `undefined` when there is none of that name and version. */
  findWorkflow(
    name: string,
    version?: string,
  ): Promise<{ readonly record: WorkflowRecord; readonly workflow: Workflow } | undefined>
  /** @throws RegistryError `workflow_invalid`, `version_taken` */
  registerWorkflow(text: string, options: RegisterOptions): Promise<WorkflowRecord>
  validateWorkflow(text: string, options?: { readonly file?: string }): Promise<Validation>

  /** What workflows may name, for checking one with `parseWorkflow`. */
  catalogue(): Promise<Required<Catalogue>>

  /** Records what comes with Swarm; to be called once at start-up. May be repeated. */
  registerShipped(options: { readonly signal?: AbortSignal }): Promise<void>
}

export type RegisterOptions = { readonly actor: string; readonly signal?: AbortSignal }

/** An agent ready to run: what the agent family's adapters take. */
export type AgentPackage = {
  readonly name: string
  readonly version: string
  readonly description: string
  /** SHA-256 over its files, hexadecimal */
  readonly digest: string
  /** Directory of the registry's own copy */
  readonly directory: string
  readonly runtime: AgentManifest['runtime']
  readonly entry: string
  readonly workspace: 'required' | 'optional' | 'none'
  readonly memoryMib: number
  readonly timeoutMs: number
  readonly network: AgentManifest['network']
  readonly capabilities: { readonly resume: boolean; readonly send: boolean; readonly interrupt: boolean }
  checkInputs(value: unknown): Promise<ValueCheck>
  checkOutputs(value: unknown): Promise<ValueCheck>
}
