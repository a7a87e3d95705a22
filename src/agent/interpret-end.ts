import type { JsonObject } from '../domain/json.ts'
import type { Reason } from '../domain/reason.ts'
import {
  type AgentEnd,
  type AgentOutcome,
  type AgentPackage,
  OUTPUT_BYTES_MAX,
  type OutputFile,
} from './contract.ts'
import { toPlainText } from './plain-text.ts'

/**
 * The outcome of an agent that speaks by exit code and `output.json`. A result beside a failure is not even
 * read: it may be stale, or half written.
 */
export async function interpretEnd(agent: AgentPackage, end: AgentEnd): Promise<AgentOutcome> {
  if (end.exitCode !== 0) return toFailure(end)
  const parsed = parseOutput(end.output)
  if (parsed.kind === 'failed') return parsed
  const checked = await agent.checkOutputs(parsed.outputs)
  if (checked.ok) return { kind: 'succeeded', outputs: checked.value }
  return fail(
    'result_invalid',
    `output.json does not match the agent's outputs: ${checked.problems.join('; ')}`,
  )
}

function fail(reason: Reason, detail: string): AgentOutcome & { kind: 'failed' } {
  return { kind: 'failed', reason, detail: toPlainText(detail) }
}

function toFailure({ exitCode, signal, failure }: AgentEnd): AgentOutcome {
  if (exitCode === null)
    return fail('agent_crashed', `the agent was ended by ${signal ?? 'an unknown signal'}`)
  if (failure !== null) {
    return {
      ...fail(failure.reason, failure.detail || `the agent ended with exit code ${exitCode}`),
      ...(failure.retryAfterMs === null ? {} : { retryAfterMs: failure.retryAfterMs }),
    }
  }
  if (exitCode === 126 || exitCode === 127) {
    return fail('agent_failed', `the agent's entry could not be started (exit code ${exitCode})`)
  }
  return fail('agent_failed', `the agent ended with exit code ${exitCode}`)
}

type ParsedOutput =
  | { readonly kind: 'parsed'; readonly outputs: JsonObject }
  | (AgentOutcome & { readonly kind: 'failed' })

function parseOutput(output: OutputFile): ParsedOutput {
  switch (output.kind) {
    case 'missing':
      return fail('result_missing', 'the agent ended with exit code 0 and left no output.json')
    case 'not_a_file':
      return fail('result_invalid', 'output.json is not a regular file')
    case 'too_large':
      return fail('result_invalid', `output.json is larger than ${OUTPUT_BYTES_MAX} bytes`)
    case 'read':
      return parseJson(output.content)
  }
}

function parseJson(content: Uint8Array): ParsedOutput {
  if (content.length > OUTPUT_BYTES_MAX) {
    return fail('result_invalid', `output.json is larger than ${OUTPUT_BYTES_MAX} bytes`)
  }
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content))
  } catch (error) {
    return fail('result_invalid', `output.json is not JSON: ${error instanceof Error ? error.message : ''}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return fail('result_invalid', 'output.json does not hold an object')
  }
  const problem = findUnkeepable(value)
  if (problem !== undefined) return fail('result_invalid', `output.json ${problem}`)
  return { kind: 'parsed', outputs: value as JsonObject }
}

const DEPTH_MAX = 64

/** What a database or a later reader could not hold. Walks without recursion: the depth is the agent's choice. */
function findUnkeepable(root: object): string | undefined {
  const waiting: { value: unknown; depth: number }[] = [{ value: root, depth: 1 }]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { value, depth } = next
    if (typeof value === 'string' && value.includes('\u0000')) return 'holds a NUL character'
    if (typeof value !== 'object' || value === null) continue
    if (depth > DEPTH_MAX) return `is nested deeper than ${DEPTH_MAX} levels`
    for (const [key, child] of Object.entries(value)) {
      if (key === '__proto__' || key.includes('\u0000')) return `holds the key ${JSON.stringify(key)}`
      waiting.push({ value: child, depth: depth + 1 })
    }
  }
  return undefined
}
