import { isMap, isNode, isScalar, LineCounter, type Node, parseDocument } from 'yaml'
import type { ConfigProblem } from './config-error.ts'

export type SettingPath = readonly (string | number)[]

/** A parsed YAML text that still knows where each value stands. */
export type YamlTree = {
  /** Plain objects, arrays and scalars; an empty text is an empty mapping */
  readonly value: unknown
  readonly problems: readonly ConfigProblem[]
  /** `file:line:column` of the value at the path, else of the nearest mapping around it */
  whereIs(path: SettingPath): string
  /** `file:line:column` of the key that is the path's last element */
  whereIsKey(path: SettingPath): string
}

const ALIAS_COUNT_MAX = 100

/** Reads YAML 1.2 of the core schema: one document, no duplicate keys, no custom tags. */
export function parseYamlTree(text: string, file: string): YamlTree {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, version: '1.2' })
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return `${file}:${Math.max(1, line)}:${Math.max(1, col)}`
  }
  const problems: ConfigProblem[] = [...document.errors, ...document.warnings].map((error) => ({
    where: at(error.pos[0]),
    message: `not valid YAML: ${error.message}`,
    hint: null,
  }))
  let value: unknown = {}
  if (problems.length === 0) {
    try {
      value = document.toJS({ maxAliasCount: ALIAS_COUNT_MAX }) ?? {}
    } catch (error) {
      problems.push({ where: at(0), message: `not valid YAML: ${(error as Error).message}`, hint: null })
    }
  }
  return {
    value,
    problems,
    whereIs: (path) => at(offsetOf(document.contents, path)),
    whereIsKey: (path) => at(keyOffsetOf(document.contents, path) ?? offsetOf(document.contents, path)),
  }
}

function offsetOf(root: unknown, path: SettingPath): number {
  let node = root
  let offset = startOf(node) ?? 0
  for (const step of path) {
    node = childOf(node, step)
    offset = startOf(node) ?? offset
  }
  return offset
}

function keyOffsetOf(root: unknown, path: SettingPath): number | undefined {
  let node = root
  for (const step of path.slice(0, -1)) node = childOf(node, step)
  if (!isMap(node)) return undefined
  const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(path.at(-1)))
  return startOf(pair?.key)
}

function childOf(node: unknown, step: string | number): unknown {
  const collection = node as { get?: (key: string | number, keepScalar: true) => unknown } | undefined
  return typeof collection?.get === 'function' ? collection.get(step, true) : undefined
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? ((node as Node).range?.[0] ?? undefined) : undefined
}
