import type { Json } from '../domain/json.ts'
import { suggest } from '../domain/nearest-word.ts'
import type { Catalogue } from './catalogue.ts'
import { listAncestors } from './check-graph.ts'
import { isList } from './expression.ts'
import { mayHoldReference, parseTextTemplate, type Reference, toWholeReference } from './reference.ts'
import { toStepOutputs } from './step-outputs.ts'
import { ANY, NUMBER, type Shape, stepInto, TEXT, toShape, toShapeOfValue } from './value-type.ts'
import type { Step, Workflow } from './workflow.ts'

export type ValuePath = readonly (string | number)[]

/** What a place in the workflow may refer to, and where its problems go. */
export type CheckContext = {
  readonly workflow: Workflow
  readonly catalogue: Catalogue
  /** Absent for the outputs of the workflow */
  readonly step?: Step
  /** Path of the step in the file */
  readonly path: ValuePath
  /** Ids of the steps that have ended before */
  readonly earlier: ReadonlySet<string>
  /** What `item` is; absent where there is none */
  readonly item?: Shape
  /** `index` counts characters of the text at the path, from 0 */
  readonly report: (
    path: ValuePath,
    index: number | undefined,
    message: string,
    hint?: string | undefined,
  ) => void
}

type Base = Pick<CheckContext, 'workflow' | 'catalogue' | 'report'>

export function createStepContext({
  stepIndex,
  ...base
}: Base & { stepIndex: number }): CheckContext & { step: Step } {
  const step = base.workflow.steps[stepIndex]
  if (step === undefined) throw new Error(`there is no step at ${stepIndex}`)
  const context = {
    ...base,
    step,
    path: ['steps', stepIndex],
    earlier: listAncestors(base.workflow.steps, step),
  }
  if (step.forEach === undefined) return context
  return { ...context, item: toItemShape(step.forEach, context) }
}

export function createOutputsContext(base: Base): CheckContext {
  return { ...base, path: [], earlier: new Set(base.workflow.steps.map((step) => step.id)) }
}

function toItemShape(forEach: string | readonly Json[], context: CheckContext): Shape {
  const list = toShapeOf(forEach, { ...context, report: () => {} }, [])
  return list.kind === 'array' ? list.element : ANY
}

/** The shape of a value whose texts may hold references; reports those that cannot be resolved. */
export function toShapeOf(value: Json, context: CheckContext, path: ValuePath): Shape {
  if (typeof value === 'string') return toShapeOfText(value, context, path)
  if (isList(value)) {
    const shapes = value.map((item, index) => toShapeOf(item, context, [...path, index]))
    const shape = toShapeOfValue(value)
    const isPlain = !JSON.stringify(value).includes('${')
    return isPlain ? shape : { kind: 'array', element: shapes.length === 1 ? (shapes[0] ?? ANY) : ANY }
  }
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).map(([name, field]): [string, Shape] => [
      name,
      toShapeOf(field, context, [...path, name]),
    ])
    return { kind: 'object', fields: Object.fromEntries(fields), isOpen: false }
  }
  return toShapeOfValue(value)
}

function toShapeOfText(text: string, context: CheckContext, path: ValuePath): Shape {
  if (!mayHoldReference(text)) return TEXT
  const template = parseTextTemplate(text)
  if (!template.ok) {
    context.report(path, template.problem.offset, template.problem.message, template.problem.hint)
    return ANY
  }
  const whole = toWholeReference(template.value)
  if (whole !== undefined) return toShapeOfReference(whole, context, path)
  for (const part of template.value) {
    if (typeof part === 'object') toShapeOfReference(part, context, path)
  }
  return TEXT
}

/** The shape behind a reference; reports one that can never be resolved. */
export function toShapeOfReference(reference: Reference, context: CheckContext, path: ValuePath): Shape {
  const report = (message: string, hint?: string) => {
    context.report(path, reference.offset, `\${${reference.text}} is unresolved: ${message}`, hint)
    return ANY
  }
  const [root, ...rest] = reference.path
  let shape = toRootShape(root, context)
  if (shape === undefined) return report(`"${root}" exists only in a step with for-each`)
  if (root === 'steps') {
    const message = checkStepReference(rest[0], context)
    if (message !== undefined) return report(message.message, message.hint)
  }
  for (const segment of rest) {
    const next = stepInto(shape, segment)
    if (!next.ok) return report(next.message, next.hint)
    shape = next.shape
  }
  return shape
}

function checkStepReference(
  id: string | number | undefined,
  { workflow, earlier, step }: CheckContext,
): { message: string; hint?: string } | undefined {
  const ids = workflow.steps.map((other) => other.id).filter((other) => other !== step?.id)
  if (id === undefined) return { message: 'it lacks the id of a step' }
  if (id === step?.id) return { message: 'a step cannot refer to itself' }
  if (!ids.includes(String(id))) {
    const hint = suggest(String(id), ids)
    return { message: `there is no step "${id}"`, ...(hint === undefined ? {} : { hint }) }
  }
  if (earlier.has(String(id))) return undefined
  return {
    message: `the step "${id}" may not have ended by then`,
    hint: `add "${id}" to the needs of "${step?.id ?? ''}"`,
  }
}

const TICKET: Shape = {
  kind: 'object',
  isOpen: false,
  fields: {
    id: TEXT,
    key: TEXT,
    title: TEXT,
    body: TEXT,
    type: TEXT,
    priority: NUMBER,
    labels: { kind: 'array', element: TEXT },
  },
}
const PROJECT: Shape = {
  kind: 'object',
  isOpen: false,
  fields: {
    id: TEXT,
    key: TEXT,
    name: TEXT,
    repositoryUrl: TEXT,
    defaultBranch: TEXT,
    checks: { kind: 'array', element: { kind: 'array', element: TEXT } },
  },
}
const RUN: Shape = {
  kind: 'object',
  isOpen: false,
  fields: { id: TEXT, number: NUMBER, branch: TEXT, agent: TEXT, feedback: TEXT },
}

function toRootShape(root: Reference['path'][0], context: CheckContext): Shape | undefined {
  switch (root) {
    case 'ticket':
      return TICKET
    case 'project':
      return PROJECT
    case 'run':
      return RUN
    case 'inputs':
      return toInputsShape(context.workflow)
    case 'steps':
      return toStepsShape(context)
    case 'item':
      return context.item
    case 'index':
      return context.item === undefined ? undefined : NUMBER
    default:
      return root satisfies never
  }
}

function toInputsShape({ inputs }: Workflow): Shape {
  const fields = Object.entries(inputs).map(([name, { type }]): [string, Shape] => [name, toShape(type)])
  return { kind: 'object', fields: Object.fromEntries(fields), isOpen: false }
}

function toStepsShape({ workflow, catalogue }: CheckContext): Shape {
  const fields = workflow.steps.map((step): [string, Shape] => [
    step.id,
    {
      kind: 'object',
      isOpen: false,
      fields: { status: TEXT, reason: TEXT, outputs: toStepOutputs(step, catalogue) },
    },
  ])
  return { kind: 'object', fields: Object.fromEntries(fields), isOpen: false }
}
