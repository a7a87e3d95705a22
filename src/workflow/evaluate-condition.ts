import type { Json } from '../domain/json.ts'
import type { Comparison, Condition } from './condition.ts'
import { isList, lookUp, type Resolved, type Scope } from './expression.ts'

/**
 * Whether the condition holds. `and` and `or` look at their right side only when the left does not decide, so
 * `steps.a.status == 'succeeded' and steps.a.outputs.x > 3` is safe. Only `true` and `false` are conditions,
 * with `null` counting as false; another value, an unresolved reference and a comparison of things without an
 * order are problems.
 */
export function evaluateCondition(condition: Condition, scope: Scope): Resolved<boolean> {
  const result = evaluate(condition, scope)
  return result.ok ? toBoolean(result.value, condition.offset) : result
}

function evaluate(condition: Condition, scope: Scope): Resolved<Json> {
  switch (condition.kind) {
    case 'literal':
      return { ok: true, value: condition.value }
    case 'always':
      return { ok: true, value: true }
    case 'reference':
      return lookUp(condition.reference, scope)
    case 'not': {
      const operand = evaluateCondition(condition.operand, scope)
      return operand.ok ? { ok: true, value: !operand.value } : operand
    }
    case 'and':
    case 'or': {
      const left = evaluateCondition(condition.left, scope)
      if (!left.ok || left.value === (condition.kind === 'or')) return left
      return evaluateCondition(condition.right, scope)
    }
    case 'compare': {
      const left = evaluate(condition.left, scope)
      if (!left.ok) return left
      const right = evaluate(condition.right, scope)
      if (!right.ok) return right
      return compare(condition.operator, left.value, right.value, condition.offset)
    }
    default:
      return condition satisfies never
  }
}

function compare(operator: Comparison, left: Json, right: Json, offset: number): Resolved<boolean> {
  if (operator === '==') return { ok: true, value: isEqual(left, right) }
  if (operator === '!=') return { ok: true, value: !isEqual(left, right) }
  if (operator === 'contains') return contains(left, right, offset)
  if (typeof left === 'number' && typeof right === 'number') {
    return { ok: true, value: isInOrder(operator, left - right) }
  }
  if (typeof left === 'string' && typeof right === 'string') {
    return { ok: true, value: isInOrder(operator, left < right ? -1 : left > right ? 1 : 0) }
  }
  return fail(
    offset,
    `${nameType(left)} ${operator} ${nameType(right)}: only two numbers or two texts have an order`,
  )
}

function isInOrder(operator: '<' | '<=' | '>' | '>=', difference: number): boolean {
  switch (operator) {
    case '<':
      return difference < 0
    case '<=':
      return difference <= 0
    case '>':
      return difference > 0
    case '>=':
      return difference >= 0
  }
}

/** A text contains a text, a list an element, an object a key; `null` contains nothing. */
function contains(whole: Json, part: Json, offset: number): Resolved<boolean> {
  if (whole === null) return { ok: true, value: false }
  if (isList(whole)) return { ok: true, value: whole.some((element) => isEqual(element, part)) }
  if (typeof part === 'string') {
    if (typeof whole === 'string') return { ok: true, value: whole.includes(part) }
    if (typeof whole === 'object') return { ok: true, value: Object.hasOwn(whole, part) }
  }
  return fail(offset, `${nameType(whole)} cannot contain ${nameType(part)}`)
}

/** Same type and same content, however deep. */
export function isEqual(left: Json, right: Json): boolean {
  if (left === right) return true
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false
  if (isList(left) || isList(right)) {
    if (!isList(left) || !isList(right) || left.length !== right.length) return false
    return left.every((element, index) => isEqual(element, right[index] ?? null))
  }
  const keys = Object.keys(left)
  if (keys.length !== Object.keys(right).length) return false
  return keys.every((key) => Object.hasOwn(right, key) && isEqual(left[key] ?? null, right[key] ?? null))
}

function toBoolean(value: Json, offset: number): Resolved<boolean> {
  if (typeof value === 'boolean') return { ok: true, value }
  if (value === null) return { ok: true, value: false }
  return fail(offset, `a condition must be true or false, this is ${nameType(value)}`)
}

/** The type in words for messages: `a text`, `a list`. */
export function nameType(value: Json): string {
  if (value === null) return 'null'
  if (isList(value)) return 'an array'
  if (typeof value === 'object') return 'an object'
  return `a ${typeof value}`
}

function fail(
  offset: number,
  message: string,
): { ok: false; problem: { offset: number; message: string; path: [] } } {
  return { ok: false, problem: { offset, message, path: [] } }
}
