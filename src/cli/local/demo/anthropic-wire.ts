/** The Anthropic Messages protocol, from the provider's side. */
import type { Play, Scene } from './model-script.ts'

type Block = {
  readonly type?: string
  readonly text?: string
  readonly id?: string
  readonly name?: string
  readonly input?: unknown
  readonly tool_use_id?: string
  readonly content?: unknown
}
type Message = { readonly role?: string; readonly content?: string | readonly Block[] }

export function toAnthropicScene(body: Record<string, unknown>): Scene {
  const messages = (Array.isArray(body.messages) ? body.messages : []) as readonly Message[]
  const blocks = messages.flatMap(({ content }) =>
    Array.isArray(content) ? (content as readonly Block[]) : [],
  )
  const calls = new Map(blocks.filter((block) => block.type === 'tool_use').map((block) => [block.id, block]))
  return {
    turn: messages.filter(({ role }) => role === 'assistant').length,
    firstMessage: toText(messages.find(({ role }) => role === 'user')?.content),
    results: blocks
      .filter((block) => block.type === 'tool_result')
      .map((block) => {
        const call = calls.get(block.tool_use_id)
        return { tool: call?.name ?? '', input: call?.input, content: toText(block.content) }
      }),
    charCount: JSON.stringify(body).length,
  }
}

export function toAnthropicReply(play: Play): unknown {
  return {
    ...toEnvelope(play),
    content: [
      { type: 'text', text: play.say },
      ...play.calls.map(({ id, tool, input }) => ({ type: 'tool_use', id, name: tool, input })),
    ],
    stop_reason: toStopReason(play),
    stop_sequence: null,
    usage: { input_tokens: play.inputTokens, output_tokens: play.outputTokens },
  }
}

/** The reply as events; text and arguments come in pieces, as they do from a model. */
export function streamAnthropic(play: Play): readonly string[] {
  const event = (type: string, data: object) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`
  const block = (index: number, start: object, deltas: readonly object[]) => [
    event('content_block_start', { index, content_block: start }),
    ...deltas.map((delta) => event('content_block_delta', { index, delta })),
    event('content_block_stop', { index }),
  ]
  const usage = { input_tokens: play.inputTokens, output_tokens: 1 }
  const message = { ...toEnvelope(play), content: [], stop_reason: null, stop_sequence: null, usage }
  return [
    event('message_start', { message }),
    event('ping', {}),
    ...block(
      0,
      { type: 'text', text: '' },
      halves(play.say).map((text) => ({ type: 'text_delta', text })),
    ),
    ...play.calls.flatMap(({ id, tool, input }, index) =>
      block(
        index + 1,
        { type: 'tool_use', id, name: tool, input: {} },
        halves(JSON.stringify(input)).map((partial_json) => ({ type: 'input_json_delta', partial_json })),
      ),
    ),
    event('message_delta', {
      delta: { stop_reason: toStopReason(play), stop_sequence: null },
      usage: { output_tokens: play.outputTokens },
    }),
    event('message_stop', {}),
  ]
}

function toEnvelope(play: Play): object {
  return { id: `msg_${play.calls[0]?.id ?? 'end'}`, type: 'message', role: 'assistant', model: 'scripted' }
}

function toStopReason(play: Play): string {
  return play.calls.length > 0 ? 'tool_use' : 'end_turn'
}

function toText(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return (content as readonly Block[]).map((block) => block.text ?? '').join('')
}

function halves(text: string): readonly string[] {
  const middle = Math.ceil(text.length / 2)
  return [text.slice(0, middle), text.slice(middle)]
}
