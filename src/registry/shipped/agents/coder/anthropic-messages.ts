/** The Anthropic Messages protocol, streamed. */
import { CoderFailure } from './coder-failure.ts'
import { type Message, parseArguments, type Reply, type ToolCall } from './conversation.ts'
import type { ModelProtocol } from './model-client.ts'

export const anthropicMessages: ModelProtocol = {
  path: '/v1/messages',
  headers: { 'anthropic-version': '2023-06-01' },

  toBody: ({ system, messages, tools }, replyTokensMax) => ({
    // The gateway writes the provider's name for the route here.
    model: 'default',
    max_tokens: replyTokensMax,
    stream: true,
    system: [{ type: 'text', text: system, cache_control: { type: 'ephemeral' } }],
    tools: tools.map(({ name, description, input }) => ({ name, description, input_schema: input })),
    messages: messages.map(toMessage),
  }),

  async readReply(events) {
    let text = ''
    const calls = new Map<number, { id: string; tool: string; json: string }>()
    let inputTokens = 0
    let outputTokens = 0
    let stopReason = ''
    let isComplete = false
    for await (const event of events as AsyncIterable<StreamEvent>) {
      switch (event.type) {
        case 'message_start':
          inputTokens = toInputTokens(event.message?.usage)
          break
        case 'content_block_start':
          text += event.content_block?.text ?? ''
          if (event.content_block?.type === 'tool_use') {
            const { id = '', name = '' } = event.content_block
            calls.set(event.index ?? 0, { id, tool: name, json: '' })
          }
          break
        case 'content_block_delta': {
          text += event.delta?.text ?? ''
          const call = calls.get(event.index ?? 0)
          if (call !== undefined) call.json += event.delta?.partial_json ?? ''
          break
        }
        case 'message_delta':
          stopReason = event.delta?.stop_reason ?? stopReason
          outputTokens = event.usage?.output_tokens ?? outputTokens
          break
        case 'message_stop':
          isComplete = true
          break
        case 'error':
          throw new Error(event.error?.message ?? 'the provider reported an error')
      }
    }
    if (!isComplete) throw new Error('the stream ended early')
    if (stopReason === 'refusal') throw new CoderFailure('model_failed', 'the model refused the task')
    return {
      text,
      calls: [...calls.values()].map(toCall),
      inputTokens,
      outputTokens,
      isCut: stopReason === 'max_tokens',
    } satisfies Reply
  },
}

type Usage = {
  readonly input_tokens?: number
  readonly cache_read_input_tokens?: number
  readonly cache_creation_input_tokens?: number
  readonly output_tokens?: number
}

type StreamEvent = {
  readonly type?: string
  readonly index?: number
  readonly message?: { readonly usage?: Usage }
  readonly content_block?: {
    readonly type?: string
    readonly id?: string
    readonly name?: string
    readonly text?: string
  }
  readonly delta?: { readonly text?: string; readonly partial_json?: string; readonly stop_reason?: string }
  readonly usage?: Usage
  readonly error?: { readonly message?: string }
}

function toMessage(message: Message): unknown {
  switch (message.role) {
    case 'user':
      return { role: 'user', content: message.text }
    case 'assistant':
      return {
        role: 'assistant',
        content: [
          { type: 'text', text: message.text },
          ...message.calls.map(({ id, tool, input }) => ({
            type: 'tool_use',
            id,
            name: tool,
            input: input ?? {},
          })),
        ],
      }
    case 'tools':
      return {
        role: 'user',
        content: message.results.map(({ callId, content, isError }) => ({
          type: 'tool_result',
          tool_use_id: callId,
          content: content === '' ? '(empty)' : content,
          is_error: isError,
        })),
      }
  }
}

function toCall({ id, tool, json }: { id: string; tool: string; json: string }): ToolCall {
  return { id, tool, input: parseArguments(json) }
}

function toInputTokens(usage: Usage | undefined): number {
  return (
    (usage?.input_tokens ?? 0) +
    (usage?.cache_read_input_tokens ?? 0) +
    (usage?.cache_creation_input_tokens ?? 0)
  )
}
