import { LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'

/** A repository's `.swarm/project.yaml`: what its owners declare about it. Never policy, never run on the host. */
export type ProjectFile = {
  /** Commands that verify the work: argument arrays */
  readonly checks: readonly (readonly string[])[]
  /** Commands that make a fresh workspace usable */
  readonly setup: readonly (readonly string[])[]
  readonly defaultWorkflow: string | null
}

export const EMPTY_PROJECT_FILE: ProjectFile = { checks: [], setup: [], defaultWorkflow: null }

const argument = z
  .string()
  .max(10_000)
  .refine((text) => !text.includes('\0'), 'holds a NUL character')
const commands = z.array(z.array(argument).min(1).max(100)).max(50)
const schema = z.strictObject({
  checks: commands.default([]),
  setup: commands.default([]),
  'default-workflow': z.string().max(200).nullable().default(null),
})

/** The file's declarations, or one sentence that says what is wrong and where. */
export function parseProjectFile(
  text: string,
): { readonly ok: true; readonly file: ProjectFile } | { readonly ok: false; readonly detail: string } {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, schema: 'core', uniqueKeys: true })
  const [error] = document.errors
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0])
    return refuse(`${line}:${col}: ${error.message.split('\n')[0]}`)
  }
  let data: unknown
  try {
    data = document.toJS({ maxAliasCount: 0 })
  } catch {
    return refuse('1:1: YAML aliases are not allowed')
  }
  const parsed = schema.safeParse(data ?? {})
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const node = document.getIn(issue?.path ?? [], true) as { range?: [number] } | undefined
    const { line, col } = lines.linePos(node?.range?.[0] ?? 0)
    return refuse(`${line}:${col}: ${issue?.path.join('.') || 'file'}: ${issue?.message}`)
  }
  const { checks, setup, 'default-workflow': defaultWorkflow } = parsed.data
  return { ok: true, file: { checks, setup, defaultWorkflow } }
}

function refuse(where: string): { ok: false; detail: string } {
  return { ok: false, detail: `.swarm/project.yaml:${where}` }
}
