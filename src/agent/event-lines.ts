import { isReason, type Reason } from '../domain/reason.ts'
import type { AgentEvent, AgentEventReader, AgentFailure } from './contract.ts'
import { toPlainText } from './plain-text.ts'

/** Begins a line of standard output that is meant for Swarm; a JSON object with a `type` follows. */
export const EVENT_MARK = '::swarm::'
const LINE_BYTES_MAX = 16 * 1024
const EVENT_COUNT_MAX = 10_000

/**
 * Reads events from standard output: lines `::swarm::{"type":"milestone","text":"…"}`, and `turn`, `tool`,
 * `usage`, `failure`. All other lines, and what is wrong or too much, is only output.
 */
export function createEventReader(): AgentEventReader {
  const decoder = new TextDecoder()
  let pending = ''
  let isLineTooLong = false
  let eventCount = 0

  const take = (text: string): AgentEvent[] => {
    const lines = (pending + text).split('\n')
    pending = lines.pop() ?? ''
    const events: AgentEvent[] = []
    for (const line of lines) {
      const event = isLineTooLong ? undefined : parseEventLine(line)
      isLineTooLong = false
      if (event === undefined || eventCount >= EVENT_COUNT_MAX) continue
      eventCount += 1
      events.push(event)
    }
    if (pending.length > LINE_BYTES_MAX) {
      pending = ''
      isLineTooLong = true
    }
    return events
  }
  return {
    push: (chunk) => take(decoder.decode(chunk, { stream: true })),
    end: () => take(`${decoder.decode()}\n`),
  }
}

/** The event on a line, or `undefined` when there is none. */
export function parseEventLine(line: string): AgentEvent | undefined {
  if (!line.startsWith(EVENT_MARK) || line.length > LINE_BYTES_MAX) return undefined
  let message: unknown
  try {
    message = JSON.parse(line.slice(EVENT_MARK.length))
  } catch {
    return undefined
  }
  if (typeof message !== 'object' || message === null) return undefined
  return toEvent(message as Record<string, unknown>)
}

function toEvent(message: Record<string, unknown>): AgentEvent | undefined {
  switch (message.type) {
    case 'milestone':
      return { kind: 'milestone', text: toPlainText(message.text) }
    case 'turn':
      return { kind: 'turn', turn: toCount(message.turn), text: toPlainText(message.text) }
    case 'tool':
      return { kind: 'tool', tool: toPlainText(message.tool, 100), text: toPlainText(message.text) }
    case 'usage':
      return {
        kind: 'usage',
        model: toPlainText(message.model, 100),
        inputTokens: toCount(message.inputTokens),
        outputTokens: toCount(message.outputTokens),
      }
    case 'failure':
      return { kind: 'failure', ...toFailure(message) }
    default:
      return undefined
  }
}

/** What an agent may say about its own failure: a reason about the host or a person is not its to give. */
const AGENT_REASONS: ReadonlySet<Reason> = new Set<Reason>([
  'agent_failed',
  'command_failed',
  'http_failed',
  'network_failed',
  'no_change',
  'no_progress',
  'model_rate_limited',
  'model_overloaded',
  'model_failed',
  'budget',
  'input_invalid',
])
const RETRY_AFTER_MS_MAX = 24 * 3_600_000

function toFailure(message: Record<string, unknown>): AgentFailure {
  const { reason, detail, retryAfterMs } = message
  const isKnown = typeof reason === 'string' && isReason(reason) && AGENT_REASONS.has(reason)
  return {
    reason: isKnown ? reason : 'agent_failed',
    detail: toPlainText(detail),
    retryAfterMs:
      typeof retryAfterMs === 'number' && retryAfterMs > 0
        ? Math.min(retryAfterMs, RETRY_AFTER_MS_MAX)
        : null,
  }
}

function toCount(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0
}
