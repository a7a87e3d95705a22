/** The loop: ask, do what was called, answer; until `finish` or out of turns. */
import { CoderFailure } from './coder-failure.ts'
import type { Message, ToolCall, ToolResult } from './conversation.ts'
import type { ModelClient } from './model-client.ts'
import { report, say } from './report.ts'
import type { Toolbox } from './toolbox.ts'

export type Conversation = {
  readonly model: ModelClient
  readonly toolbox: Toolbox
  readonly system: string
  readonly firstMessage: string
  readonly turnCountMax: number
}

export type ConversationResult = {
  readonly summary: string
  readonly turns: number
  readonly inputTokens: number
  readonly outputTokens: number
}

const SILENT_TURNS_MAX = 3
/** Beyond this, old tool results are dropped from what is sent, characters */
const HISTORY_CHARS_MAX = 400_000
const DROPPED = '[dropped to save room; call the tool again if you need it]'

export async function converse(conversation: Conversation): Promise<ConversationResult> {
  const { model, toolbox, system, firstMessage, turnCountMax } = conversation
  let messages: Message[] = [{ role: 'user', text: firstMessage }]
  let inputTokens = 0
  let outputTokens = 0
  let silentTurns = 0
  for (let turn = 1; turn <= turnCountMax; turn++) {
    const reply = await model.ask({ system, messages, tools: toolbox.tools })
    inputTokens += reply.inputTokens
    outputTokens += reply.outputTokens
    report({
      type: 'usage',
      model: model.name,
      inputTokens: reply.inputTokens,
      outputTokens: reply.outputTokens,
    })
    report({ type: 'turn', turn, text: reply.text })
    if (reply.text !== '') say(reply.text)

    const calls = reply.isCut ? [] : reply.calls
    messages.push({ role: 'assistant', text: reply.text || '(no text)', calls })
    const finish = calls.find((call) => call.tool === 'finish')
    if (finish !== undefined) {
      // Work called beside `finish` is still done, so that nothing is lost.
      await perform(toolbox, calls.slice(0, calls.indexOf(finish)))
      return { summary: toSummary(finish, reply.text), turns: turn, inputTokens, outputTokens }
    }
    if (calls.length === 0) {
      silentTurns += 1
      if (silentTurns >= SILENT_TURNS_MAX) {
        throw new CoderFailure('no_progress', `the model called no tool in ${SILENT_TURNS_MAX} turns`)
      }
      const text = reply.isCut
        ? 'Your reply was cut at the length limit. Go on in smaller steps.'
        : 'Go on with the tools. When all is done, call finish.'
      messages.push({ role: 'user', text })
      continue
    }
    silentTurns = 0
    messages.push({ role: 'tools', results: await perform(toolbox, calls) })
    messages = shorten(messages)
  }
  throw new CoderFailure('no_progress', `the model did not finish within ${turnCountMax} turns`)
}

async function perform(toolbox: Toolbox, calls: readonly ToolCall[]): Promise<ToolResult[]> {
  const results: ToolResult[] = []
  // One after the other: later calls of a turn may build on earlier ones.
  for (const call of calls) results.push(await toolbox.perform(call))
  return results
}

function toSummary(finish: ToolCall, text: string): string {
  const summary = finish.input?.summary
  return (typeof summary === 'string' && summary !== '' ? summary : text).slice(0, 20_000)
}

/** Drops the oldest tool results until the rest fits; the last two turns stay whole. */
function shorten(messages: Message[]): Message[] {
  let excess = messages.reduce((sum, message) => sum + sizeOf(message), 0) - HISTORY_CHARS_MAX
  return messages.map((message, index) => {
    if (excess <= 0 || message.role !== 'tools' || index >= messages.length - 4) return message
    excess -= sizeOf(message)
    return { ...message, results: message.results.map((result) => ({ ...result, content: DROPPED })) }
  })
}

function sizeOf(message: Message): number {
  if (message.role === 'tools') return message.results.reduce((sum, result) => sum + result.content.length, 0)
  return message.text.length
}
