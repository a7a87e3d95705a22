import { stringify } from 'yaml'
import { STEP_COUNT_MAX } from '../../workflow/parse-workflow.ts'
import { createFindings, type Findings, isObject, parseForeignJson } from './findings.ts'
import { quote, toOurName } from './foreign-name.ts'
import { KEYS, simplifyKey } from './foreign-step.ts'
import { type StepContext, withKey } from './step-context.ts'
import type { StepNames } from './to-reference.ts'
import { toStep } from './to-step.ts'

export type ForeignWorkflow = {
  /** As ours are written */
  readonly name: string
  readonly version: string
  readonly description: string | undefined
  /** JSON: a list of steps, or an object with one */
  readonly steps: string
}

export type WorkflowOptions = Pick<StepContext, 'durationUnit' | 'toOurName'>

/**
 * The YAML of a workflow from a row of another registry. The caller checks it as any other workflow.
 * @returns `undefined` when there are problems
 */
export function toWorkflow(
  workflow: ForeignWorkflow,
  options: WorkflowOptions,
  findings: Findings,
): string | undefined {
  const document = readDocument(workflow.steps, findings)
  if (document === undefined) return undefined
  const names = nameSteps(document.steps, findings)
  const ours = toIndex(document.steps, names)
  const isInOrder = !saysNeeds(document.steps)
  const steps = document.steps.map((step, index) => {
    const own = createFindings()
    const id = names[index] ?? ''
    const context = { ...options, findings: own, names: { ours, used: new Set<string>() } }
    const converted = toStep(step, id, context)
    if (!isInOrder) addNeedsOfReferences(converted, context.names, own)
    for (const list of ['changes', 'notes', 'problems'] as const) {
      findings[list].push(...own[list].map((text) => `step ${id}: ${text}`))
    }
    return converted
  })
  if (isInOrder) putInOrder(steps, findings)
  if (findings.problems.length > 0) return undefined
  const { name, version, description } = workflow
  const converted = {
    name,
    version,
    ...(description !== undefined && description.trim() !== '' && { description }),
    ...withKey('inputs', document.inputs),
    steps,
  }
  return stringify(converted, { defaultKeyType: 'PLAIN', lineWidth: 0, aliasDuplicateObjects: false })
}

type Document = {
  readonly steps: readonly Readonly<Record<string, unknown>>[]
  readonly inputs: unknown
}

function readDocument(text: string, { problems, changes }: Findings): Document | undefined {
  const parsed = parseForeignJson(text, 'steps')
  if (!parsed.ok) {
    problems.push(parsed.problem)
    return undefined
  }
  const { steps, inputs, ...rest } = isObject(parsed.value)
    ? parsed.value
    : { steps: parsed.value, inputs: undefined }
  if (!Array.isArray(steps) || !steps.every(isObject)) {
    problems.push('its steps are no list of objects: write [{"id": "build", "agent": "coder"}, …]')
    return undefined
  }
  if (steps.length === 0 || steps.length > STEP_COUNT_MAX) {
    problems.push(`it has ${steps.length} steps: a workflow has 1 to ${STEP_COUNT_MAX}`)
    return undefined
  }
  const others = Object.keys(rest)
  if (others.length > 0)
    changes.push(`left out ${others.slice(0, 20).map(quote).join(', ')} beside its steps`)
  return { steps, inputs: inputs ?? undefined }
}

/** Our id of each step, in their order. */
function nameSteps(steps: Document['steps'], { changes, problems }: Findings): readonly string[] {
  const taken = new Map<string, string>()
  return steps.map((step, index) => {
    const theirs = getName(step) ?? `step-${index + 1}`
    // Underscores are ours too, in steps.
    const id = /^[a-z][a-z0-9_-]{0,62}$/.test(theirs)
      ? theirs
      : (toOurName(theirs, 'step') ?? `step-${index + 1}`)
    const other = taken.get(id)
    if (other !== undefined) {
      problems.push(
        `steps ${quote(other)} and ${quote(theirs)} would both be called ${id}: rename one of them`,
      )
    }
    taken.set(id, theirs)
    if (getName(step) !== id)
      changes.push(`step ${id}: was ${getName(step) === undefined ? 'without a name' : quote(theirs)}`)
    return id
  })
}

function getName(step: Readonly<Record<string, unknown>>): string | undefined {
  const name = step.id ?? step.step_id ?? step.stepId ?? step.key ?? step.name ?? step.title
  return (typeof name === 'string' && name !== '') || typeof name === 'number' ? String(name) : undefined
}

/** Ours by what the other registry calls them, by name too where a step has an id. */
function toIndex(steps: Document['steps'], ids: readonly string[]): ReadonlyMap<string, string> {
  const index = new Map<string, string>()
  for (const [place, step] of steps.entries()) {
    const id = ids[place] ?? ''
    if (typeof step.name === 'string' && !index.has(step.name)) index.set(step.name, id)
  }
  // An id wins over a name that reads the same.
  for (const [place, step] of steps.entries()) index.set(getName(step) ?? ids[place] ?? '', ids[place] ?? '')
  return index
}

/** Ours may refer only to steps that they need; other engines let any step be named. */
function addNeedsOfReferences(
  step: Record<string, unknown>,
  { used }: StepNames,
  { changes }: Findings,
): void {
  const needs = Array.isArray(step.needs) ? step.needs.map(String) : []
  const missing = [...used].filter((id) => !needs.includes(id))
  if (missing.length === 0) return
  step.needs = [...needs, ...missing]
  changes.push(`now needs ${missing.join(', ')}, which it refers to`)
}

function saysNeeds(steps: Document['steps']): boolean {
  const keys = new Set(steps.flatMap((step) => Object.keys(step).map(simplifyKey)))
  return KEYS.needs.some((key) => keys.has(key))
}

/** A list in which no step says what it depends on is meant in its order. */
function putInOrder(steps: readonly Record<string, unknown>[], { changes }: Findings): void {
  if (steps.length < 2) return
  for (const [index, step] of steps.entries()) {
    const previous = steps[index - 1]
    if (previous !== undefined) step.needs = [previous.id]
  }
  changes.push('no step says what it depends on: they run one after another')
}
