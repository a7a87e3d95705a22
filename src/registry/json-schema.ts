import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import type { JsonObject } from '../domain/json.ts'

/** What is wrong with a schema, and where in it. */
export type SchemaProblem = { readonly path: readonly string[]; readonly message: string }

const NODE_COUNT_MAX = 2_000
const DEPTH_MAX = 24
const PATTERN_CHARS_MAX = 500

/** Problems of a JSON Schema from a manifest: too big, not self-contained, not strict, not of an object. */
export function checkSchema(schema: JsonObject): readonly SchemaProblem[] {
  const problems = findRefused(schema)
  if (problems.length > 0) return problems
  if (schema.type !== 'object') return [{ path: [], message: 'it begins with "type: object"' }]
  try {
    compileSchema(schema, { fillsDefaults: false })
    return []
  } catch (error) {
    return [
      { path: [], message: error instanceof Error ? error.message.slice(0, 500) : 'it cannot be compiled' },
    ]
  }
}

/**
 * A validator for a schema that `checkSchema` took.
 * @param options.fillsDefaults whether the validator writes defaults into the value it is given
 */
export function compileSchema(
  schema: JsonObject,
  options: { readonly fillsDefaults: boolean },
): ValidateFunction<unknown> {
  const ajv = new Ajv2020({
    strict: true,
    // One by one: with hostile data a list of all errors could grow without bound.
    allErrors: false,
    useDefaults: options.fillsDefaults,
    validateFormats: true,
    logger: false,
  })
  formats.default(ajv)
  return ajv.compile(schema)
}

/** `/items/0/name must be string`. */
export function toProblemText(error: ErrorObject): string {
  const where = error.instancePath === '' ? 'the value' : error.instancePath.slice(0, 200)
  const extra =
    error.keyword === 'additionalProperties'
      ? `: ${JSON.stringify(error.params.additionalProperty).slice(0, 100)}`
      : ''
  return `${where} ${error.message ?? 'is not valid'}${extra}`
}

/**
 * Whether checking a value takes time in proportion to its size. Patterns can backtrack, references can repeat
 * themselves, unique items are compared with each other: those are checked apart, under a deadline.
 */
export function isQuick(schema: JsonObject): boolean {
  return !listNodes(schema).some(({ node }) => SLOW_KEYWORDS.some((keyword) => Object.hasOwn(node, keyword)))
}

const SLOW_KEYWORDS = [
  'pattern',
  'patternProperties',
  'uniqueItems',
  '$ref',
  '$dynamicRef',
  'format',
  'contains',
]

function findRefused(schema: JsonObject): readonly SchemaProblem[] {
  const nodes = listNodes(schema)
  if (nodes.length > NODE_COUNT_MAX)
    return [{ path: [], message: `it has more than ${NODE_COUNT_MAX} parts` }]
  return nodes.flatMap(({ node, path }): SchemaProblem[] => {
    if (path.length > DEPTH_MAX) return [{ path, message: `it is nested deeper than ${DEPTH_MAX} levels` }]
    const { $ref, $dynamicRef, $id, $async, pattern } = node
    if ([$ref, $dynamicRef].some((ref) => typeof ref === 'string' && !ref.startsWith('#'))) {
      return [{ path, message: '$ref may point into the same schema only (#/…)' }]
    }
    if (typeof $id === 'string' || $async !== undefined)
      return [{ path, message: '$id and $async are not used here' }]
    if (typeof pattern === 'string' && pattern.length > PATTERN_CHARS_MAX) {
      return [{ path, message: `a pattern has up to ${PATTERN_CHARS_MAX} characters` }]
    }
    return []
  })
}

type Node = { readonly node: JsonObject; readonly path: readonly string[] }

/** Every object in it, itself included; stops soon after there are too many. */
function listNodes(root: JsonObject): readonly Node[] {
  const found: Node[] = []
  const waiting: { readonly value: unknown; readonly path: readonly string[] }[] = [{ value: root, path: [] }]
  for (let next = waiting.pop(); next !== undefined && found.length <= NODE_COUNT_MAX; next = waiting.pop()) {
    const { value, path } = next
    if (typeof value !== 'object' || value === null) continue
    if (!Array.isArray(value)) found.push({ node: value as JsonObject, path })
    if (path.length > DEPTH_MAX) continue
    for (const [key, child] of Object.entries(value)) waiting.push({ value: child, path: [...path, key] })
  }
  return found
}
