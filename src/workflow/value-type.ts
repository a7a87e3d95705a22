import type { Json, JsonObject } from '../domain/json.ts'
import { suggest } from '../domain/nearest-word.ts'
import { isList, isRefusedName } from './expression.ts'
import type { ValueType } from './workflow.ts'

/** What is known of a value before a run. */
export type Shape =
  | { readonly kind: 'any' }
  | { readonly kind: 'string' | 'number' | 'boolean' | 'null' }
  | { readonly kind: 'array'; readonly element: Shape }
  | {
      readonly kind: 'object'
      readonly fields: Readonly<Record<string, Shape>>
      /** Whether there may be fields that are not listed */
      readonly isOpen: boolean
    }

export const ANY: Shape = { kind: 'any' }
export const TEXT: Shape = { kind: 'string' }
export const BOOLEAN: Shape = { kind: 'boolean' }
export const NUMBER: Shape = { kind: 'number' }
export const OPEN_OBJECT: Shape = { kind: 'object', fields: {}, isOpen: true }

/** Whether the value is of a declared type. */
export function hasType(value: Json, type: ValueType): boolean {
  if (type === 'array') return isList(value)
  if (type === 'object') return typeof value === 'object' && value !== null && !isList(value)
  return typeof value === type
}

export function toShape(type: ValueType): Shape {
  if (type === 'array') return { kind: 'array', element: ANY }
  return type === 'object' ? OPEN_OBJECT : { kind: type }
}

export function toRecordShape(types: Readonly<Record<string, ValueType>>): Shape {
  return {
    kind: 'object',
    isOpen: false,
    fields: Object.fromEntries(Object.entries(types).map(([name, type]) => [name, toShape(type)])),
  }
}

/** The shape of a value that holds no references. */
export function toShapeOfValue(value: Json): Shape {
  if (value === null) return { kind: 'null' }
  if (isList(value)) return { kind: 'array', element: toCommonShape(value.map(toShapeOfValue)) }
  if (typeof value === 'object') {
    const fields = Object.entries(value).map(([name, field]): [string, Shape] => [
      name,
      toShapeOfValue(field),
    ])
    return { kind: 'object', fields: Object.fromEntries(fields), isOpen: false }
  }
  return { kind: typeof value as 'string' | 'number' | 'boolean' }
}

function toCommonShape(shapes: readonly Shape[]): Shape {
  const [first] = shapes
  if (first === undefined) return ANY
  const text = JSON.stringify(first)
  return shapes.every((shape) => JSON.stringify(shape) === text) ? first : ANY
}

const SCHEMA_DEPTH_MAX = 8

/** The shape that a JSON Schema describes; what it says in other words than `type` is not known. */
export function toShapeOfSchema(schema: Json | undefined, depth = 0): Shape {
  if (!isJsonObject(schema) || depth > SCHEMA_DEPTH_MAX) return ANY
  switch (schema.type) {
    case 'string':
    case 'boolean':
    case 'null':
      return { kind: schema.type }
    case 'number':
    case 'integer':
      return NUMBER
    case 'array':
      return { kind: 'array', element: toShapeOfSchema(schema.items, depth + 1) }
    case 'object': {
      const properties = isJsonObject(schema.properties) ? Object.entries(schema.properties) : []
      const fields = properties.map(([name, field]): [string, Shape] => [
        name,
        toShapeOfSchema(field, depth + 1),
      ])
      const isOpen = schema.additionalProperties !== false
      return { kind: 'object', fields: Object.fromEntries(fields), isOpen }
    }
    default:
      return ANY
  }
}

function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !isList(value)
}

export type Stepped =
  | { readonly ok: true; readonly shape: Shape }
  | { readonly ok: false; readonly message: string; readonly hint?: string | undefined }

/** One step deeper into a shape: a field or an element. */
export function stepInto(shape: Shape, segment: string | number): Stepped {
  if (isRefusedName(String(segment))) return { ok: false, message: `there is no "${segment}"` }
  switch (shape.kind) {
    case 'any':
      return { ok: true, shape: ANY }
    case 'object': {
      const name = String(segment)
      const field = Object.hasOwn(shape.fields, name) ? shape.fields[name] : undefined
      if (field !== undefined) return { ok: true, shape: field }
      if (shape.isOpen) return { ok: true, shape: ANY }
      return { ok: false, message: `there is no "${name}"`, hint: suggest(name, Object.keys(shape.fields)) }
    }
    case 'array':
      if (typeof segment === 'number') return { ok: true, shape: shape.element }
      return {
        ok: false,
        message: `an array has no "${segment}"`,
        hint: 'pick an element with [0], or go through all with for-each',
      }
    default:
      return { ok: false, message: `a ${shape.kind} has nothing inside` }
  }
}

/** Whether a value of this shape can stand where that kind is wanted; what is not known can. */
export function canBe(shape: Shape, wanted: Shape): boolean {
  return shape.kind === 'any' || wanted.kind === 'any' || shape.kind === wanted.kind
}

/** Whether a value of this shape has an obvious form as text. */
export function canBeText(shape: Shape): boolean {
  return ['any', 'string', 'number', 'boolean'].includes(shape.kind)
}
