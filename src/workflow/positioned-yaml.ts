import { isAlias, isMap, isScalar, isSeq, LineCounter, type ParsedNode, parseDocument } from 'yaml'
import { isRefusedName } from './expression.ts'
import type { Problem } from './workflow-error.ts'

/** YAML as plain data in which each value knows where it was written. */
export type YamlNode = YamlMap | YamlList | YamlScalar
export type YamlMap = {
  readonly kind: 'map'
  readonly entries: ReadonlyMap<string, YamlEntry>
  readonly start: number
  readonly end: number
}
export type YamlEntry = { readonly keyStart: number; readonly value: YamlNode }
export type YamlList = {
  readonly kind: 'list'
  readonly items: readonly YamlNode[]
  readonly start: number
  readonly end: number
}
export type YamlScalar = {
  readonly kind: 'scalar'
  readonly value: string | number | boolean | null
  /** What was written, without quotes: `1.10` stays `1.10` */
  readonly source: string
  readonly start: number
  readonly end: number
}

export type YamlDocument = {
  readonly text: string
  readonly root: YamlNode
}

/** Largest workflow text, characters */
export const TEXT_CHARS_MAX = 131_072
const NODES_MAX = 20_000
const DEPTH_MAX = 32

/**
 * Reads the part of YAML that is JSON with comments: no anchors, aliases, tags, directives, merge keys or second
 * documents, text keys only, each once. Never throws; a text that the library cannot read is a problem too.
 */
export function parsePositionedYaml(
  text: string,
): { ok: true; document: YamlDocument } | { ok: false; problems: readonly Problem[] } {
  if (text.length > TEXT_CHARS_MAX) {
    return refuse(0, `the file is longer than ${TEXT_CHARS_MAX} characters`)
  }
  let parsed: ReturnType<typeof parseDocument>
  try {
    parsed = parseDocument(text, {
      lineCounter: new LineCounter(),
      prettyErrors: false,
      schema: 'core',
      version: '1.2',
      merge: false,
      resolveKnownTags: false,
      logLevel: 'error',
      // The library compares each key with all others; ours below is linear.
      uniqueKeys: false,
    })
  } catch {
    // The library recurses on nested brackets: a hostile text can exhaust its stack.
    return refuse(0, 'the file cannot be read as YAML', 'it may be nested too deeply')
  }
  if (parsed.errors.length > 0) {
    return { ok: false, problems: parsed.errors.map(toProblem) }
  }
  if (parsed.directives?.yaml.explicit === true || /^%/.test(text.trimStart())) {
    return refuse(0, 'YAML directives (%…) are not allowed', 'delete the line')
  }
  if (parsed.contents === null)
    return refuse(0, 'the file is empty', 'a workflow has name, version and steps')
  const conversion: Conversion = { problems: [], nodeCount: 0, text }
  const root = convert(parsed.contents as ParsedNode, 0, conversion)
  if (conversion.problems.length > 0) return { ok: false, problems: conversion.problems }
  return { ok: true, document: { text, root } }
}

/** Line and column of an offset, both from 1. */
export function toPlace(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, Math.max(0, Math.min(offset, text.length)))
  const lastBreak = before.lastIndexOf('\n')
  return { line: before.split('\n').length, column: before.length - lastBreak }
}

/**
 * Where in the file a character of a scalar's text was written. Exact for plain, quoted and block texts as long
 * as the characters there are written as they read; else the beginning of the scalar.
 */
export function toFileOffset(text: string, scalar: YamlScalar, index: number): number {
  if (typeof scalar.value !== 'string') return scalar.start
  const raw = text.slice(scalar.start, scalar.end)
  const verbatim = raw.indexOf(scalar.value)
  if (verbatim !== -1) return scalar.start + verbatim + index
  const rest = scalar.value.slice(index)
  // A folded text has other line breaks than it reads, a quoted one escapes: then a word must do.
  for (const snippet of [/^[^\n]{1,40}/, /^[^\s"'\\]{1,40}/].map((some) => some.exec(rest)?.[0])) {
    const found = snippet === undefined ? -1 : findSame(raw, scalar.value, snippet, index)
    if (found !== -1) return scalar.start + found
  }
  return scalar.start
}

/** Where in `raw` the snippet stands that stands at `index` in `text`: as the same one of several. */
function findSame(raw: string, text: string, snippet: string, index: number): number {
  let earlierCount = 0
  for (let at = text.indexOf(snippet); at !== -1 && at < index; at = text.indexOf(snippet, at + 1))
    earlierCount++
  let found = raw.indexOf(snippet)
  for (; earlierCount > 0 && found !== -1; earlierCount--) found = raw.indexOf(snippet, found + 1)
  return found
}

type Conversion = { readonly problems: Problem[]; nodeCount: number; readonly text: string }

function convert(node: ParsedNode | null, depth: number, conversion: Conversion, at = 0): YamlNode {
  const { problems } = conversion
  const [start, end] = node?.range ?? [at, at]
  const empty: YamlScalar = { kind: 'scalar', value: null, source: '', start, end }
  if (++conversion.nodeCount > NODES_MAX) {
    if (conversion.nodeCount === NODES_MAX + 1) {
      problems.push({ offset: start, message: `the file holds more than ${NODES_MAX} values` })
    }
    return empty
  }
  if (depth > DEPTH_MAX) {
    problems.push({ offset: start, message: `nested deeper than ${DEPTH_MAX} levels` })
    return empty
  }
  if (node === null) return empty
  if (isAlias(node)) {
    problems.push({
      offset: start,
      message: 'YAML aliases (*name) are not allowed',
      hint: 'write the value out',
    })
    return empty
  }
  if (node.anchor !== undefined) {
    problems.push({
      offset: start,
      message: 'YAML anchors (&name) are not allowed',
      hint: 'delete the anchor',
    })
  }
  if (node.tag !== undefined) {
    problems.push({
      offset: start,
      message: `YAML tags (${node.tag}) are not allowed`,
      hint: 'delete the tag',
    })
  }
  if (isMap(node)) return convertMap(node, depth, conversion)
  if (isSeq(node)) {
    const items = node.items.map((item) => convert(item as ParsedNode, depth + 1, conversion, start))
    return { kind: 'list', items, start, end }
  }
  return convertScalar(node, conversion)
}

function convertMap(map: ParsedNode & { items: unknown }, depth: number, conversion: Conversion): YamlMap {
  const { problems } = conversion
  const [start, end] = map.range
  const entries = new Map<string, YamlEntry>()
  if (!isMap<ParsedNode, ParsedNode | null>(map)) return { kind: 'map', entries, start, end }
  for (const { key, value } of map.items) {
    const keyStart = key.range?.[0] ?? start
    if (!isScalar(key) || key.anchor !== undefined || key.tag !== undefined) {
      problems.push({ offset: keyStart, message: 'a key must be plain text' })
      continue
    }
    const name = typeof key.value === 'string' ? key.value : String(key.source ?? key.value)
    if (isRefusedName(name)) {
      problems.push({ offset: keyStart, message: `"${name}" is not allowed as a key` })
    } else if (entries.has(name)) {
      problems.push({
        offset: keyStart,
        message: `the key "${name}" stands here twice`,
        hint: 'delete one of them',
      })
    } else {
      entries.set(name, {
        keyStart,
        value: convert(value, depth + 1, conversion, key.range?.[1] ?? keyStart),
      })
    }
  }
  return { kind: 'map', entries, start, end }
}

function convertScalar(node: ParsedNode, { problems }: Conversion): YamlScalar {
  const [start, end] = node.range
  const value: unknown = isScalar(node) ? node.value : null
  const source = isScalar(node) && typeof node.source === 'string' ? node.source : String(value)
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) {
    return { kind: 'scalar', value, source, start, end }
  }
  if (
    typeof value === 'number' &&
    Number.isFinite(value) &&
    (!Number.isInteger(value) || Number.isSafeInteger(value))
  ) {
    return { kind: 'scalar', value, source, start, end }
  }
  problems.push({
    offset: start,
    message: `the number ${source.slice(0, 40)} cannot be kept exactly`,
    hint: 'write it in quotes',
  })
  return { kind: 'scalar', value: null, source, start, end }
}

function toProblem(error: {
  readonly pos: readonly [number, number]
  readonly code: string
  readonly message: string
}): Problem {
  if (error.message.includes('call stack')) {
    return {
      offset: error.pos[0],
      message: 'the file cannot be read as YAML',
      hint: 'it is nested too deeply',
    }
  }
  if (error.code === 'MULTIPLE_DOCS') {
    return { offset: error.pos[0], message: 'a file holds one workflow', hint: 'give each its own file' }
  }
  const hint = error.code === 'TAB_AS_INDENT' ? 'indent with spaces' : undefined
  return { offset: error.pos[0], message: `not valid YAML: ${error.message}`, hint }
}

function refuse(offset: number, message: string, hint?: string): { ok: false; problems: readonly Problem[] } {
  return { ok: false, problems: [{ offset, message, hint }] }
}
