/** The OpenAI chat completions protocol, streamed. */
import { type Message, parseArguments, type Reply } from './conversation.ts'
import type { ModelProtocol } from './model-client.ts'

export const openaiChat: ModelProtocol = {
  path: '/v1/chat/completions',
  headers: {},

  toBody: ({ system, messages, tools }, replyTokensMax) => ({
    // The gateway writes the provider's name for the route here.
    model: 'default',
    max_tokens: replyTokensMax,
    stream: true,
    stream_options: { include_usage: true },
    tools: tools.map(({ name, description, input }) => ({
      type: 'function',
      function: { name, description, parameters: input },
    })),
    messages: [{ role: 'system', content: system }, ...messages.flatMap(toMessages)],
  }),

  async readReply(events) {
    let text = ''
    const calls = new Map<number, { id: string; tool: string; json: string }>()
    let usage: Chunk['usage']
    let finishReason = ''
    for await (const chunk of events as AsyncIterable<Chunk>) {
      if (chunk.error) throw new Error(chunk.error.message ?? 'the provider reported an error')
      usage = chunk.usage ?? usage
      const [choice] = chunk.choices ?? []
      if (choice === undefined) continue
      text += choice.delta?.content ?? ''
      finishReason = choice.finish_reason ?? finishReason
      for (const part of choice.delta?.tool_calls ?? []) {
        const index = part.index ?? 0
        const call = calls.get(index) ?? { id: '', tool: '', json: '' }
        calls.set(index, {
          id: part.id ?? call.id,
          tool: call.tool + (part.function?.name ?? ''),
          json: call.json + (part.function?.arguments ?? ''),
        })
      }
    }
    if (finishReason === '') throw new Error('the stream ended early')
    return {
      text,
      calls: [...calls].map(([index, { id, tool, json }]) => ({
        id: id || `call_${index}`,
        tool,
        input: parseArguments(json),
      })),
      inputTokens: usage?.prompt_tokens ?? 0,
      outputTokens: usage?.completion_tokens ?? 0,
      isCut: finishReason === 'length',
    } satisfies Reply
  },
}

type Chunk = {
  readonly choices?: readonly {
    readonly delta?: {
      readonly content?: string | null
      readonly tool_calls?: readonly {
        readonly index?: number
        readonly id?: string
        readonly function?: { readonly name?: string; readonly arguments?: string }
      }[]
    }
    readonly finish_reason?: string | null
  }[]
  readonly usage?: { readonly prompt_tokens?: number; readonly completion_tokens?: number } | null
  readonly error?: { readonly message?: string } | null
}

function toMessages(message: Message): readonly unknown[] {
  switch (message.role) {
    case 'user':
      return [{ role: 'user', content: message.text }]
    case 'assistant':
      return [
        {
          role: 'assistant',
          content: message.text,
          ...(message.calls.length === 0
            ? {}
            : {
                tool_calls: message.calls.map(({ id, tool, input }) => ({
                  id,
                  type: 'function',
                  function: { name: tool, arguments: JSON.stringify(input ?? {}) },
                })),
              }),
        },
      ]
    case 'tools':
      return message.results.map(({ callId, content, isError }) => ({
        role: 'tool',
        tool_call_id: callId,
        content: isError ? `Error: ${content}` : content,
      }))
  }
}
