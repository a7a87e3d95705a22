import type { Json, JsonObject } from '../domain/json.ts'
import { suggest } from '../domain/nearest-word.ts'
import { nameType } from './evaluate-condition.ts'
import { hasType } from './value-type.ts'
import type { Workflow } from './workflow.ts'

export type ResolvedInputs =
  | { readonly ok: true; readonly inputs: JsonObject }
  /** One sentence per problem */
  | { readonly ok: false; readonly problems: readonly string[] }

/**
 * The complete inputs of a run: what was given, then defaults, then `null`; so a reference to a declared input
 * always resolves. `null` counts as not given. Unknown, missing and ill-typed inputs are problems.
 */
export function resolveInputs(workflow: Pick<Workflow, 'inputs'>, given: JsonObject): ResolvedInputs {
  const problems: string[] = []
  const names = Object.keys(workflow.inputs)
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(workflow.inputs, name)) continue
    const hint = suggest(name, names)
    problems.push(`there is no input "${name.slice(0, 60)}"${hint === undefined ? '' : ` (${hint})`}`)
  }
  const inputs: [string, Json][] = []
  for (const [name, { type, required, default: preset }] of Object.entries(workflow.inputs)) {
    const value = (Object.hasOwn(given, name) ? given[name] : undefined) ?? preset ?? null
    if (value === null && required) problems.push(`the input "${name}" is missing`)
    else if (value !== null && !hasType(value, type)) {
      problems.push(`the input "${name}" must be of type ${type}, it is ${nameType(value)}`)
    }
    inputs.push([name, value])
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, inputs: Object.fromEntries(inputs) }
}
