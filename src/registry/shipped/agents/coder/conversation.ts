/** One conversation in neutral form; each protocol's client translates it. */
export type Message =
  | { readonly role: 'user'; readonly text: string }
  | { readonly role: 'assistant'; readonly text: string; readonly calls: readonly ToolCall[] }
  | { readonly role: 'tools'; readonly results: readonly ToolResult[] }

export type ToolCall = {
  readonly id: string
  readonly tool: string
  /** Parsed arguments, or `null` when the model wrote something that is not a JSON object */
  readonly input: Record<string, unknown> | null
}

export type ToolResult = {
  readonly callId: string
  readonly content: string
  readonly isError: boolean
}

export type Tool = {
  readonly name: string
  readonly description: string
  /** JSON Schema of an object */
  readonly input: Record<string, unknown>
}

export type Reply = {
  readonly text: string
  readonly calls: readonly ToolCall[]
  readonly inputTokens: number
  readonly outputTokens: number
  /** Whether the reply was cut at the token limit */
  readonly isCut: boolean
}

export function parseArguments(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text === '' ? '{}' : text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}
