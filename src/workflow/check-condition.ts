import { suggest } from '../domain/nearest-word.ts'
import { listStatuses, type StepStatus } from '../domain/status.ts'
import { type CheckContext, toShapeOfReference, type ValuePath } from './check-context.ts'
import { type Condition, parseCondition } from './condition.ts'
import { evaluateCondition } from './evaluate-condition.ts'
import { type Shape, toShapeOfValue } from './value-type.ts'
import type { Step, Workflow } from './workflow.ts'

/** The condition of a step: its grammar, references and types, and whether it can ever hold. */
export function checkCondition(context: CheckContext & { readonly step: Step }): void {
  const { step, workflow } = context
  if (step.if === undefined) return
  const path = [...context.path, 'if']
  const condition = parseCondition(step.if)
  if (!condition.ok) {
    context.report(path, condition.problem.offset, condition.problem.message, condition.problem.hint)
    return
  }
  let isSound = true
  const report: CheckContext['report'] = (...problem) => {
    isSound = false
    context.report(...problem)
  }
  expectBoolean(condition.value, { ...context, report }, path)
  if (isSound && fold(condition.value, workflow) === false) {
    const hint =
      'a step after one that failed runs only when that one has on-failure: continue or skip-dependents'
    const message = `the step "${step.id}" can never run: its condition is always false`
    context.report(path, 0, message, step.if.includes('.status') ? hint : 'delete the step, or its condition')
  }
}

function toShape(condition: Condition, context: CheckContext, path: ValuePath): Shape {
  switch (condition.kind) {
    case 'literal':
      return toShapeOfValue(condition.value)
    case 'reference':
      return toShapeOfReference(condition.reference, context, path)
    case 'always':
      return { kind: 'boolean' }
    case 'not':
      expectBoolean(condition.operand, context, path)
      return { kind: 'boolean' }
    case 'and':
    case 'or':
      expectBoolean(condition.left, context, path)
      expectBoolean(condition.right, context, path)
      return { kind: 'boolean' }
    case 'compare':
      checkComparison(condition, context, path)
      return { kind: 'boolean' }
    default:
      return condition satisfies never
  }
}

function expectBoolean(condition: Condition, context: CheckContext, path: ValuePath): void {
  const { kind } = toShape(condition, context, path)
  if (kind === 'any' || kind === 'boolean' || kind === 'null') return
  context.report(
    path,
    condition.offset,
    `a condition must be true or false, this is of type ${kind}`,
    'compare it: … == …',
  )
}

function checkComparison(
  condition: Condition & { readonly kind: 'compare' },
  context: CheckContext,
  path: ValuePath,
): void {
  const { operator, offset } = condition
  const left = toShape(condition.left, context, path)
  const right = toShape(condition.right, context, path)
  const wrongStatus = findUnknownStatus(condition)
  if (wrongStatus !== undefined) {
    const hint = suggest(wrongStatus, listStatuses('step'))
    context.report(path, offset, `a step is never "${wrongStatus}"`, hint)
  }
  if (isComparable(operator, left, right)) return
  context.report(
    path,
    offset,
    `${left.kind} ${operator} ${right.kind} cannot be compared: the types do not fit`,
  )
}

function isComparable(
  operator: (Condition & { kind: 'compare' })['operator'],
  left: Shape,
  right: Shape,
): boolean {
  if (operator === '==' || operator === '!=') {
    return isOneOf(left, ['any', 'null']) || isOneOf(right, ['any', 'null']) || left.kind === right.kind
  }
  if (operator === 'contains') {
    if (isOneOf(left, ['any', 'null', 'array'])) return true
    return isOneOf(left, ['string', 'object']) && isOneOf(right, ['any', 'string'])
  }
  if (!isOneOf(left, ['any', 'number', 'string']) || !isOneOf(right, ['any', 'number', 'string']))
    return false
  return left.kind === 'any' || right.kind === 'any' || left.kind === right.kind
}

function isOneOf(shape: Shape, kinds: readonly Shape['kind'][]): boolean {
  return kinds.includes(shape.kind)
}

function findUnknownStatus(condition: Condition & { readonly kind: 'compare' }): string | undefined {
  if (condition.operator !== '==' && condition.operator !== '!=') return undefined
  const { literal } = toStatusComparison(condition) ?? {}
  return literal !== undefined && !isStatus(literal) ? literal : undefined
}

function isStatus(text: string): text is StepStatus {
  return (listStatuses('step') as readonly string[]).includes(text)
}

/** `steps.x.status == 'failed'`, either way round. */
function toStatusComparison({
  left,
  right,
}: Condition & { readonly kind: 'compare' }):
  | { readonly stepId: string; readonly literal: string }
  | undefined {
  const [reference, literal] = left.kind === 'reference' ? [left, right] : [right, left]
  if (reference.kind !== 'reference' || literal.kind !== 'literal' || typeof literal.value !== 'string') {
    return undefined
  }
  const { path } = reference.reference
  const [root, stepId, field] = path
  if (root !== 'steps' || field !== 'status' || path.length !== 3) return undefined
  return { stepId: String(stepId), literal: literal.value }
}

/** What the condition is in every run, or `undefined` when that depends on the run. */
function fold(condition: Condition, workflow: Workflow): boolean | undefined {
  switch (condition.kind) {
    case 'literal':
      return condition.value === true
    case 'always':
      return true
    case 'reference':
      return undefined
    case 'not': {
      const operand = fold(condition.operand, workflow)
      return operand === undefined ? undefined : !operand
    }
    case 'and':
    case 'or': {
      const decisive = condition.kind === 'or'
      const sides = [fold(condition.left, workflow), fold(condition.right, workflow)]
      if (sides.includes(decisive)) return decisive
      return sides.includes(undefined) ? undefined : !decisive
    }
    case 'compare':
      return foldComparison(condition, workflow)
    default:
      return condition satisfies never
  }
}

function foldComparison(
  condition: Condition & { readonly kind: 'compare' },
  workflow: Workflow,
): boolean | undefined {
  if (condition.left.kind === 'literal' && condition.right.kind === 'literal') {
    const result = evaluateCondition(condition, {})
    return result.ok ? result.value : undefined
  }
  const comparison = toStatusComparison(condition)
  const step = workflow.steps.find(({ id }) => id === comparison?.stepId)
  const { operator } = condition
  if (comparison === undefined || step === undefined || (operator !== '==' && operator !== '!='))
    return undefined
  const results = listPossibleEnds(step).map(
    (status) => (status === comparison.literal) === (operator === '=='),
  )
  if (results.every((result) => result)) return true
  return results.some((result) => result) ? undefined : false
}

/** With what status a step can have ended while its dependents still may start. */
function listPossibleEnds(step: Step): readonly StepStatus[] {
  return [
    'succeeded',
    ...(step.if !== undefined || step.needs.length > 0 ? (['skipped'] as const) : []),
    ...(step.onFailure === 'fail' ? [] : (['failed', 'canceled'] as const)),
  ]
}
