import type { z } from 'zod'
import { suggest } from '../domain/nearest-word.ts'
import { parsePositionedYaml, toPlace, type YamlNode } from '../workflow/positioned-yaml.ts'
import { formatWorkflowError } from '../workflow/workflow-error.ts'
import { type AgentManifest, manifestShape, toManifest } from './agent-manifest.ts'
import { checkSchema } from './json-schema.ts'

export type ParsedManifest =
  | { readonly ok: true; readonly manifest: AgentManifest }
  /** One line each: `agent.yaml:4:3: …` with a hint */
  | { readonly ok: false; readonly problems: readonly string[] }

/**
 * Reads the text of an `agent.yaml`.
 * @param file how the file is called in error messages
 */
export function parseManifest(text: string, file: string): ParsedManifest {
  const format = (offset: number, message: string, hint?: string) =>
    formatWorkflowError({ file, ...toPlace(text, offset), message, ...(hint === undefined ? {} : { hint }) })

  const yaml = parsePositionedYaml(text)
  if (!yaml.ok) {
    return {
      ok: false,
      problems: yaml.problems.map(({ offset, message, hint }) => format(offset, message, hint)),
    }
  }
  const { root } = yaml.document
  const parsed = manifestShape.safeParse(toPlain(root))
  if (!parsed.success) {
    return { ok: false, problems: parsed.error.issues.flatMap((issue) => toProblems(root, issue, format)) }
  }
  const manifest = toManifest(parsed.data)
  const problems = (['inputs', 'outputs'] as const).flatMap((part) =>
    checkSchema(manifest[part]).map(({ path, message }) =>
      format(findOffset(root, [part, ...path]), `${part} is not a JSON Schema we take: ${message}`),
    ),
  )
  return problems.length === 0 ? { ok: true, manifest } : { ok: false, problems }
}

type Format = (offset: number, message: string, hint?: string) => string
type Path = readonly PropertyKey[]

function toProblems(root: YamlNode, issue: z.core.$ZodIssue, format: Format): string[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const known = knownKeys(issue.path)
      return format(findOffset(root, [...issue.path, key]), `unknown key "${key}"`, suggest(key, known))
    })
  }
  // Of alternatives, only the last (the list) can be wrong in detail.
  const nested = issue.code === 'invalid_union' ? issue.errors.at(-1) : undefined
  if (nested !== undefined && nested.length > 0) {
    return nested.flatMap((inner) =>
      toProblems(root, { ...inner, path: [...issue.path, ...inner.path] }, format),
    )
  }
  const name = issue.path.map(String).join('.')
  return [format(findOffset(root, issue.path), `${name === '' ? 'the manifest' : name}: ${issue.message}`)]
}

function knownKeys(path: Path): readonly string[] {
  return path[0] === 'network' ? ['hosts', 'models'] : Object.keys(manifestShape.shape)
}

/** Where the value (or, for an unknown key, the key) is written; the nearest parent when it is absent. */
function findOffset(root: YamlNode, path: Path): number {
  let node = root
  let offset = root.start
  for (const part of path) {
    if (node.kind === 'map') {
      const found = node.entries.get(String(part))
      if (found === undefined) return offset
      offset = found.keyStart
      node = found.value
    } else if (node.kind === 'list') {
      const item = node.items[Number(part)]
      if (item === undefined) return offset
      offset = item.start
      node = item
    } else {
      return offset
    }
  }
  return offset
}

function toPlain(node: YamlNode): unknown {
  switch (node.kind) {
    case 'scalar':
      return node.value
    case 'list':
      return node.items.map(toPlain)
    case 'map':
      return Object.fromEntries([...node.entries].map(([key, entry]) => [key, toPlain(entry.value)]))
  }
}
