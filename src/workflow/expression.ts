import type { Json } from '../domain/json.ts'
import {
  mayHoldReference,
  parseTextTemplate,
  type Reference,
  type Root,
  type SyntaxProblem,
  toWholeReference,
} from './reference.ts'

/** Gives the value that a root stands for, or `undefined` where it does not exist (`item` outside for-each). */
export type Scope = { readonly [name in Root]?: Json | (() => Json) }

export type Resolved<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: ResolveProblem }

export type ResolveProblem = SyntaxProblem & {
  /** Where in the value: keys and places */
  readonly path: readonly (string | number)[]
  /** The reference that is unresolved; absent when something else is wrong */
  readonly reference?: Reference
}

/** A value that grows beyond this, counted in characters of text, is refused. */
export const RESOLVED_CHARS_MAX = 4_194_304

/**
 * The value with every reference in its texts resolved. A text that is one reference becomes the value itself,
 * with its type; within other text it becomes text: `null` nothing, lists and objects JSON. What a reference
 * gives is never read for references again.
 */
export function resolveValue(value: Json, scope: Scope): Resolved<Json> {
  return resolveWithin(value, { scope, charsLeft: { count: RESOLVED_CHARS_MAX }, path: [] })
}

/** The value of one reference, or where it ends in nothing. */
export function lookUp(reference: Reference, scope: Scope): Resolved<Json> {
  const [root, ...rest] = reference.path
  const entry = scope[root]
  if (entry === undefined) return unresolved(reference, `"${root}" does not exist here`)
  let value: Json = typeof entry === 'function' ? entry() : entry
  for (const segment of rest) {
    const next = getOwn(value, segment)
    if (next === undefined) return unresolved(reference, `there is no ${describe(segment)} in it`)
    value = next
  }
  return { ok: true, value }
}

/** Names that lead to what a JavaScript object inherits are not data, wherever they come from. */
const REFUSED_NAMES: readonly string[] = ['__proto__', 'constructor', 'prototype']

/** Whether the name may be a key of ours. */
export function isRefusedName(name: string): boolean {
  return REFUSED_NAMES.includes(name)
}

function getOwn(value: Json, segment: string | number): Json | undefined {
  if (isList(value)) {
    return typeof segment === 'number' ? value[segment] : undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const name = String(segment)
  if (isRefusedName(name) || !Object.hasOwn(value, name)) return undefined
  return value[name]
}

/** `Array.isArray` that the compiler understands for read-only lists. */
export function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}

/** What a value becomes within other text. */
export function toText(value: Json): string {
  if (typeof value === 'string') return value
  if (value === null) return ''
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

type Resolving = {
  readonly scope: Scope
  readonly charsLeft: { count: number }
  readonly path: readonly (string | number)[]
}

function resolveWithin(value: Json, resolving: Resolving): Resolved<Json> {
  if (typeof value === 'string') return resolveText(value, resolving)
  if (typeof value !== 'object' || value === null) return { ok: true, value }
  if (isList(value)) {
    const items: Json[] = []
    for (const [index, item] of value.entries()) {
      const result = resolveWithin(item, { ...resolving, path: [...resolving.path, index] })
      if (!result.ok) return result
      items.push(result.value)
    }
    return { ok: true, value: items }
  }
  const entries: [string, Json][] = []
  for (const [key, item] of Object.entries(value)) {
    const result = resolveWithin(item, { ...resolving, path: [...resolving.path, key] })
    if (!result.ok) return result
    entries.push([key, result.value])
  }
  return { ok: true, value: Object.fromEntries(entries) }
}

function resolveText(text: string, { scope, charsLeft, path }: Resolving): Resolved<Json> {
  if (!mayHoldReference(text)) return { ok: true, value: text }
  const template = parseTextTemplate(text)
  if (!template.ok) return { ok: false, problem: { ...template.problem, path } }
  const whole = toWholeReference(template.value)
  let result: Json = ''
  for (const part of template.value) {
    if (typeof part === 'string') {
      result += part
      continue
    }
    const found = lookUp(part, scope)
    if (!found.ok) return { ok: false, problem: { ...found.problem, path } }
    charsLeft.count -= sizeOf(found.value)
    if (charsLeft.count < 0) {
      const message = `\${${part.text}} makes the value longer than ${RESOLVED_CHARS_MAX} characters`
      return { ok: false, problem: { offset: part.offset, message, path } }
    }
    if (whole !== undefined) return found
    result += toText(found.value)
  }
  return { ok: true, value: result }
}

function sizeOf(value: Json): number {
  if (typeof value === 'string') return value.length
  return typeof value === 'object' ? JSON.stringify(value).length : 0
}

function unresolved(reference: Reference, why: string): { ok: false; problem: ResolveProblem } {
  const message = `\${${reference.text}} is unresolved: ${why}`
  return { ok: false, problem: { message, offset: reference.offset, path: [], reference } }
}

function describe(segment: string | number): string {
  return typeof segment === 'number' ? `element ${segment}` : `"${segment}"`
}
