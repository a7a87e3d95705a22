import type { JsonObject } from '../domain/json.ts'
import type { InputDeclaration } from './workflow.ts'

/** What a workflow may use, as far as it is known; a part that is absent is not checked. */
export type Catalogue = {
  /** By name */
  readonly agents?: ReadonlyMap<string, AgentSignature>
  /** By name */
  readonly workflows?: ReadonlyMap<string, WorkflowSignature>
}

export type AgentSignature = {
  /** JSON Schema of `with` */
  readonly inputs?: JsonObject
  /** JSON Schema of `outputs` */
  readonly outputs?: JsonObject
}

export type WorkflowSignature = {
  readonly inputs: Readonly<Record<string, InputDeclaration>>
  /** Names of what the run gives back; absent: not known */
  readonly outputs?: readonly string[]
}

/** `coder` of `coder` and of `coder@1.2.0`. */
export function toPlainName(name: string): string {
  return name.replace(/@.*$/s, '')
}
