import { Transform } from 'node:stream'
import type { ModelProtocol, TokenCount } from './contract.ts'

export type TokenMeter = {
  /** Passes the answer on unchanged */
  readonly flow: Transform
  /** What the answer said so far, or `null` */
  tokens(): TokenCount | null
}

/** Longest line or body that is read for usage, bytes; longer ones pass unread */
const READ_BYTES_MAX = 8 * 1024 * 1024

/** Reads the usage from a model's answer while it passes, streamed (server-sent events) or whole (JSON). */
export function createTokenMeter(protocol: ModelProtocol, contentType: string): TokenMeter {
  const usage = protocol === 'anthropic-messages' ? createAnthropicUsage() : createOpenaiUsage()
  const isStream = contentType.toLowerCase().startsWith('text/event-stream')
  let pending = ''
  let isOverflowing = false
  const decoder = new TextDecoder()

  const readLines = (text: string) => {
    pending += text
    const lines = pending.split('\n')
    pending = lines.pop() ?? ''
    for (const line of lines) {
      // The rest of a line too long to keep ends here.
      if (isOverflowing) isOverflowing = false
      else if (line.startsWith('data:')) readJson(line.slice(5), usage.read)
    }
    if (pending.length > READ_BYTES_MAX) {
      pending = ''
      isOverflowing = true
    }
  }
  const readBody = (text: string) => {
    if (isOverflowing) return
    pending += text
    isOverflowing = pending.length > READ_BYTES_MAX
    if (isOverflowing) pending = ''
  }

  const flow = new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      const text = decoder.decode(chunk, { stream: true })
      if (isStream) readLines(text)
      else readBody(text)
      callback(null, chunk)
    },
    flush(callback) {
      if (isStream) readLines('\n')
      else readJson(pending, usage.read)
      callback()
    },
  })
  return { flow, tokens: usage.tokens }
}

type UsageReader = { read(message: Record<string, unknown>): void; tokens(): TokenCount | null }

/** Input is told at the start, output grows with each `message_delta`; what the cache gave is counted apart. */
function createAnthropicUsage(): UsageReader {
  let fresh = 0
  let written = 0
  let cached = 0
  let output = 0
  let isTold = false
  return {
    read(message) {
      const usage = toRecord(message.usage) ?? toRecord(toRecord(message.message)?.usage)
      if (usage === undefined) return
      isTold = true
      fresh = toCount(usage.input_tokens) ?? fresh
      written = toCount(usage.cache_creation_input_tokens) ?? written
      cached = toCount(usage.cache_read_input_tokens) ?? cached
      output = toCount(usage.output_tokens) ?? output
    },
    tokens: () =>
      isTold
        ? { inputTokens: fresh + written + cached, outputTokens: output, cachedInputTokens: cached }
        : null,
  }
}

/** Told once: in the body, or in the last event when the request asked for it. */
function createOpenaiUsage(): UsageReader {
  let told: TokenCount | null = null
  return {
    read(message) {
      const usage = toRecord(message.usage)
      if (usage === undefined) return
      told = {
        inputTokens: toCount(usage.prompt_tokens) ?? 0,
        outputTokens: toCount(usage.completion_tokens) ?? 0,
        cachedInputTokens: toCount(toRecord(usage.prompt_tokens_details)?.cached_tokens) ?? 0,
      }
    },
    tokens: () => told,
  }
}

function readJson(text: string, read: UsageReader['read']): void {
  // Most events of a stream carry text only; parsing them all would cost for nothing.
  if (!text.includes('"usage"')) return
  try {
    const message = toRecord(JSON.parse(text))
    if (message !== undefined) read(message)
  } catch {
    // Not JSON: there is no usage in it. The agent gets it as it came.
  }
}

function toRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined
}

function toCount(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? Math.round(value) : undefined
}
