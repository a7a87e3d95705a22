import type { Json } from '../domain/json.ts'
import { suggest } from '../domain/nearest-word.ts'
import { DURATION_HINT, parseDuration } from './duration.ts'
import type { YamlList, YamlMap, YamlNode } from './positioned-yaml.ts'
import type { Problem } from './workflow-error.ts'

/**
 * Readers from YAML to values. Each adds what is wrong to `problems` and gives `undefined`, so that one reading
 * finds every mistake of a file.
 */
export type Problems = Problem[]

/** A map whose keys are all known; missing ones that are required are problems. */
export function readMap(
  node: YamlNode,
  what: string,
  known: readonly string[],
  required: readonly string[],
  problems: Problems,
): YamlMap | undefined {
  const map = expectMap(node, what, problems)
  if (map === undefined) return undefined
  for (const [key, { keyStart }] of map.entries) {
    if (!known.includes(key)) {
      const shown = key.length > 60 ? `${key.slice(0, 60)}…` : key
      problems.push({
        offset: keyStart,
        message: `unknown key "${shown}" in ${what}`,
        hint: suggest(key, known),
      })
    }
  }
  for (const key of required) {
    if (!map.entries.has(key)) problems.push({ offset: map.start, message: `${what} lacks "${key}"` })
  }
  return map
}

export function expectMap(node: YamlNode, what: string, problems: Problems): YamlMap | undefined {
  if (node.kind === 'map') return node
  problems.push({ offset: node.start, message: `${what} must be a mapping, this is ${nameNode(node)}` })
  return undefined
}

export function expectList(
  node: YamlNode,
  what: string,
  problems: Problems,
  hint?: string,
): YamlList | undefined {
  if (node.kind === 'list') return node
  problems.push({ offset: node.start, message: `${what} must be a list, this is ${nameNode(node)}`, hint })
  return undefined
}

export type TextRule = { readonly charsMax?: number; readonly pattern?: RegExp; readonly hint?: string }

/** Text that is not empty. */
export function readText(
  node: YamlNode,
  what: string,
  problems: Problems,
  rule: TextRule = {},
): string | undefined {
  if (node.kind !== 'scalar' || typeof node.value !== 'string') {
    problems.push({
      offset: node.start,
      message: `${what} must be text, this is ${nameNode(node)}`,
      hint: rule.hint,
    })
    return undefined
  }
  return checkText(node.value, node.start, what, problems, rule)
}

/** Text, or a number or truth value as it was written. */
export function readWord(
  node: YamlNode,
  what: string,
  problems: Problems,
  rule: TextRule = {},
): string | undefined {
  if (node.kind !== 'scalar' || node.value === null) return readText(node, what, problems, rule)
  return checkText(
    typeof node.value === 'string' ? node.value : node.source,
    node.start,
    what,
    problems,
    rule,
  )
}

function checkText(
  text: string,
  offset: number,
  what: string,
  problems: Problems,
  { charsMax = 65_536, pattern, hint }: TextRule,
): string | undefined {
  if (text === '') problems.push({ offset, message: `${what} is empty`, hint })
  else if (text.length > charsMax) {
    problems.push({ offset, message: `${what} is longer than ${charsMax} characters` })
  } else if (pattern !== undefined && !pattern.test(text)) {
    problems.push({ offset, message: `"${text.slice(0, 60)}" cannot be ${what}`, hint })
  } else return text
  return undefined
}

export function readInteger(
  node: YamlNode,
  what: string,
  { min, max }: { min: number; max: number },
  problems: Problems,
): number | undefined {
  const value = node.kind === 'scalar' ? node.value : undefined
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
  problems.push({ offset: node.start, message: `${what} must be a whole number from ${min} to ${max}` })
  return undefined
}

export function readBoolean(node: YamlNode, what: string, problems: Problems): boolean | undefined {
  if (node.kind === 'scalar' && typeof node.value === 'boolean') return node.value
  problems.push({ offset: node.start, message: `${what} must be true or false, this is ${nameNode(node)}` })
  return undefined
}

export function readChoice<Choice extends string>(
  node: YamlNode,
  what: string,
  choices: readonly Choice[],
  problems: Problems,
): Choice | undefined {
  const text = readText(node, what, problems)
  const choice = choices.find((one) => one === text)
  if (text !== undefined && choice === undefined) {
    problems.push({
      offset: node.start,
      message: `"${text.slice(0, 60)}" cannot be ${what}`,
      hint: suggest(text, choices),
    })
  }
  return choice
}

/** Milliseconds. */
export function readDuration(
  node: YamlNode,
  what: string,
  { minMs }: { minMs: number },
  problems: Problems,
): number | undefined {
  const text = node.kind === 'scalar' && typeof node.value === 'string' ? node.value : undefined
  const durationMs = text === undefined ? undefined : parseDuration(text)
  if (durationMs === undefined) {
    problems.push({ offset: node.start, message: `${what} must be a duration`, hint: DURATION_HINT })
    return undefined
  }
  if (durationMs >= minMs) return durationMs
  problems.push({ offset: node.start, message: `${what} must not be zero`, hint: DURATION_HINT })
  return undefined
}

/** Name to value, each entry read by the given reader. */
export function readRecord<Value>(
  node: YamlNode,
  what: string,
  { name: nameRule, read }: { name: TextRule; read: (value: YamlNode, name: string) => Value | undefined },
  problems: Problems,
): Readonly<Record<string, Value>> {
  const entries: [string, Value][] = []
  for (const [name, { keyStart, value }] of expectMap(node, what, problems)?.entries ?? []) {
    if (checkText(name, keyStart, `a name in ${what}`, problems, nameRule) === undefined) continue
    const read_ = read(value, name)
    if (read_ !== undefined) entries.push([name, read_])
  }
  return Object.fromEntries(entries)
}

export function toJson(node: YamlNode): Json {
  switch (node.kind) {
    case 'scalar':
      return node.value
    case 'list':
      return node.items.map(toJson)
    case 'map':
      return Object.fromEntries([...node.entries].map(([key, { value }]) => [key, toJson(value)]))
  }
}

export function nameNode(node: YamlNode): string {
  if (node.kind === 'list') return 'a list'
  if (node.kind === 'map') return 'a mapping'
  if (node.value === null) return 'empty'
  return typeof node.value === 'string' ? 'text' : `a ${typeof node.value}`
}
