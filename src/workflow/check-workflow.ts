import type { Catalogue } from './catalogue.ts'
import { checkCondition } from './check-condition.ts'
import { type CheckContext, createOutputsContext, createStepContext } from './check-context.ts'
import { checkGraph } from './check-graph.ts'
import { checkForEach, checkStepValues, checkValue } from './check-step.ts'
import { toFileOffset, type YamlDocument, type YamlNode } from './positioned-yaml.ts'
import type { Workflow } from './workflow.ts'
import type { Problem } from './workflow-error.ts'

/** Everything about a well-shaped workflow that can be wrong before it runs. */
export function checkWorkflow(
  workflow: Workflow,
  document: YamlDocument,
  catalogue: Catalogue,
): readonly Problem[] {
  const graphProblems = checkGraph(workflow.steps).map(({ stepIndex, needIndex, message, hint }) => {
    const path = needIndex === undefined ? ['id'] : ['needs', needIndex]
    return { offset: locate(document, ['steps', stepIndex, ...path]), message, hint }
  })
  // Without a sound graph it is not known which step may refer to which.
  if (graphProblems.length > 0) return graphProblems

  const problems: Problem[] = []
  const report: CheckContext['report'] = (path, index, message, hint) => {
    problems.push({ offset: locate(document, path, index), message, hint })
  }
  for (const stepIndex of workflow.steps.keys()) {
    const context = createStepContext({ workflow, stepIndex, catalogue, report })
    checkForEach(context)
    checkCondition(context)
    checkStepValues(context)
  }
  const outputs = createOutputsContext({ workflow, catalogue, report })
  for (const [name, value] of Object.entries(workflow.outputs ?? {})) {
    checkValue(value, ['outputs', name], outputs)
  }
  return problems
}

/** Where the value of a path was written; a character of its text when an index is given. */
function locate(document: YamlDocument, path: readonly (string | number)[], index?: number): number {
  let node: YamlNode = document.root
  for (const segment of path) {
    const next: YamlNode | undefined =
      node.kind === 'map'
        ? node.entries.get(String(segment))?.value
        : node.kind === 'list'
          ? node.items[Number(segment)]
          : undefined
    if (next === undefined) break
    node = next
  }
  if (node.kind !== 'scalar' || index === undefined) return node.start
  return toFileOffset(document.text, node, index)
}
