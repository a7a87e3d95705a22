/** The OpenAI chat completions protocol, from the provider's side. */
import type { Play, Scene } from './model-script.ts'

type Message = {
  readonly role?: string
  readonly content?: unknown
  readonly tool_call_id?: string
  readonly tool_calls?: readonly {
    readonly id?: string
    readonly function?: { readonly name?: string; readonly arguments?: string }
  }[]
}

export function toOpenaiScene(body: Record<string, unknown>): Scene {
  const messages = (Array.isArray(body.messages) ? body.messages : []) as readonly Message[]
  const calls = new Map(
    messages.flatMap(({ tool_calls = [] }) => tool_calls).map((call) => [call.id, call.function]),
  )
  return {
    turn: messages.filter(({ role }) => role === 'assistant').length,
    firstMessage: toText(messages.find(({ role }) => role === 'user')?.content),
    results: messages
      .filter(({ role }) => role === 'tool')
      .map((message) => {
        const call = calls.get(message.tool_call_id)
        return { tool: call?.name ?? '', input: parse(call?.arguments), content: toText(message.content) }
      }),
    charCount: JSON.stringify(body).length,
  }
}

export function toOpenaiReply(play: Play): unknown {
  return {
    ...toEnvelope(play, 'chat.completion'),
    choices: [
      {
        index: 0,
        finish_reason: toFinishReason(play),
        message: { role: 'assistant', content: play.say, ...toCalls(play) },
      },
    ],
    usage: toUsage(play),
  }
}

/** The reply as events; the last one before the end carries the usage. */
export function streamOpenai(play: Play): readonly string[] {
  const chunk = (delta: object, finish: string | null, usage: object | null = null) => {
    const choices = usage === null ? [{ index: 0, delta, finish_reason: finish }] : []
    return `data: ${JSON.stringify({ ...toEnvelope(play, 'chat.completion.chunk'), choices, usage })}\n\n`
  }
  const middle = Math.ceil(play.say.length / 2)
  return [
    chunk({ role: 'assistant', content: play.say.slice(0, middle) }, null),
    chunk({ content: play.say.slice(middle) }, null),
    ...play.calls.flatMap(({ id, tool, input }, index) => {
      const text = JSON.stringify(input)
      const half = Math.ceil(text.length / 2)
      const first = { index, id, type: 'function', function: { name: tool, arguments: text.slice(0, half) } }
      const second = { index, function: { arguments: text.slice(half) } }
      return [chunk({ tool_calls: [first] }, null), chunk({ tool_calls: [second] }, null)]
    }),
    chunk({}, toFinishReason(play)),
    chunk({}, null, toUsage(play)),
    'data: [DONE]\n\n',
  ]
}

function toEnvelope(play: Play, object: string): object {
  return { id: `chatcmpl-${play.calls[0]?.id ?? 'end'}`, object, created: 0, model: 'scripted' }
}

function toFinishReason(play: Play): string {
  return play.calls.length > 0 ? 'tool_calls' : 'stop'
}

function toUsage(play: Play): object {
  const { inputTokens, outputTokens } = play
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
  }
}

function toCalls(play: Play): object {
  if (play.calls.length === 0) return {}
  return {
    tool_calls: play.calls.map(({ id, tool, input }) => ({
      id,
      type: 'function',
      function: { name: tool, arguments: JSON.stringify(input) },
    })),
  }
}

function toText(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return (content as readonly { readonly text?: string }[]).map((part) => part.text ?? '').join('')
}

function parse(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? 'null')
  } catch {
    return null
  }
}
