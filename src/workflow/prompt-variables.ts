import type { Json, JsonObject } from '../domain/json.ts'
import { listAncestors } from './check-graph.ts'
import type { RunState } from './run-state.ts'
import { StepProgress } from './step-progress.ts'
import type { Workflow } from './workflow.ts'

/**
 * What the prompt template of an instance that was started sees: `ticket`, `project`, `run`, `inputs`, `steps` (those
 * among its needs, directly or further back), and with `for-each` its `item` and `index`.
 */
export function toPromptVariables(
  workflow: Workflow,
  state: RunState,
  { stepId, index }: { readonly stepId: string; readonly index: number | null },
): JsonObject {
  const { ticket, project, run, inputs, instances } = state
  const variables = { ticket, project, run, inputs, steps: toSteps(workflow, state, stepId) }
  if (index === null) return variables
  const instance = instances.find((one) => one.stepId === stepId && one.index === index)
  return { ...variables, item: instance?.item ?? null, index }
}

function toSteps(workflow: Workflow, state: RunState, stepId: string): JsonObject {
  const step = workflow.steps.find(({ id }) => id === stepId)
  if (step === undefined) return {}
  const progress = new StepProgress(workflow, state)
  const ancestors = listAncestors(workflow.steps, step)
  const ends: [string, Json][] = []
  for (const earlier of workflow.steps.filter(({ id }) => ancestors.has(id))) {
    // It has ended, as the instance was started: without an instance its list was empty.
    if (progress.listInstances(earlier.id).length === 0) progress.markEmpty(earlier.id)
    const end = progress.findEnd(earlier)
    if (end !== undefined) ends.push([earlier.id, end])
  }
  return Object.fromEntries(ends)
}
