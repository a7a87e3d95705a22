import type { Json } from '../domain/json.ts'
import type { Reason } from '../domain/reason.ts'
import { type Condition, hasAlways, listConditionReferences, parseCondition } from './condition.ts'
import { evaluateCondition, nameType } from './evaluate-condition.ts'
import { isList, resolveValue, type Scope } from './expression.ts'
import type { StepInstanceState } from './run-state.ts'
import type { StepEnd } from './step-progress.ts'
import type { Step } from './workflow.ts'

/** Whether a step, or one of its instances, may go on. */
export type Gate =
  /** Not all needs have ended */
  | { readonly kind: 'closed' }
  | { readonly kind: 'open' }
  | { readonly kind: 'skip'; readonly reason: Reason }
  | { readonly kind: 'fail'; readonly reason: Reason; readonly message: string }

/** Instances that one `for-each` may have */
export const INSTANCE_COUNT_MAX = 1_000

/** Decides for the whole step. A condition that names `item` or `index` is left to the instances. */
export function openGate(
  step: Step,
  scope: Scope,
  needs: readonly { readonly need: Step; readonly end: StepEnd | undefined }[],
): Gate {
  if (needs.some(({ end }) => end === undefined)) return { kind: 'closed' }
  const condition = step.if === undefined ? undefined : parseCondition(step.if)
  if (condition?.ok === false) return fail('workflow_invalid', `if: ${condition.problem.message}`)
  const bad = needs.filter(({ need, end }) => end !== undefined && !wentWell(need, end))
  if (bad.some(({ need }) => condition === undefined || !dealsWith(condition.value, need))) {
    return { kind: 'skip', reason: 'need_not_met' }
  }
  if (condition === undefined || isPerInstance(condition.value)) return { kind: 'open' }
  return evaluate(condition.value, scope)
}

/** Decides for one instance of a step whose gate is open. */
export function openInstanceGate(step: Step, instance: StepInstanceState, scope: Scope): Gate {
  if (step.forEach === undefined) return { kind: 'open' }
  if (instance.index === null) {
    // Only skipped and failed ones are made; one that is pending belongs to another workflow.
    return fail('workflow_invalid', 'an instance of a for-each step has no place in its list')
  }
  const condition = step.if === undefined ? undefined : parseCondition(step.if)
  if (condition?.ok !== true || !isPerInstance(condition.value)) return { kind: 'open' }
  return evaluate(condition.value, scope)
}

/** The list that a `for-each` step is fanned out over. */
export function decideForEach(
  step: Step,
  scope: Scope,
): { readonly kind: 'fan-out'; readonly items: readonly Json[] } | (Gate & { readonly kind: 'fail' }) {
  const list = resolveValue(step.forEach ?? [], scope)
  if (!list.ok) return fail('reference_unresolved', `for-each: ${list.problem.message}`)
  if (!isList(list.value))
    return fail('input_invalid', `for-each must be an array, it is ${nameType(list.value)}`)
  if (list.value.length > INSTANCE_COUNT_MAX) {
    const message = `for-each has ${list.value.length} elements, ${INSTANCE_COUNT_MAX} are allowed`
    return fail('too_many_instances', message)
  }
  return { kind: 'fan-out', items: list.value }
}

function wentWell(need: Step, { status }: StepEnd): boolean {
  return status === 'succeeded' || (status !== 'skipped' && need.onFailure === 'continue')
}

/** A condition that names a need's status takes over what that need's failure would mean. */
function dealsWith(condition: Condition, need: Step): boolean {
  if (hasAlways(condition)) return true
  return listConditionReferences(condition).some(
    ({ path: [root, stepId, field] }) => root === 'steps' && stepId === need.id && field === 'status',
  )
}

function isPerInstance(condition: Condition): boolean {
  return listConditionReferences(condition).some(({ path: [root] }) => root === 'item' || root === 'index')
}

function evaluate(condition: Condition, scope: Scope): Gate {
  const result = evaluateCondition(condition, scope)
  if (!result.ok) {
    const reason = result.problem.reference === undefined ? 'input_invalid' : 'reference_unresolved'
    return fail(reason, `if: ${result.problem.message}`)
  }
  return result.value ? { kind: 'open' } : { kind: 'skip', reason: 'condition_false' }
}

function fail(reason: Reason, message: string): Gate & { readonly kind: 'fail' } {
  return { kind: 'fail', reason, message }
}
