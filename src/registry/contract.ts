import type { StoreReader, StoreWriter } from '../store/contract.ts'

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
