import { type EventBody, eventSchema } from '../rest-schema/event.ts'
import { listEventsSpec } from '../rest-schema/operations/events.ts'
import { ConnectionError } from './api-error.ts'
import { open, type Transport } from './call.ts'
import { readChunks, readResiliently } from './resilient-stream.ts'
import { readMessages, type StreamMessage } from './server-sent-events.ts'

export type WatchOptions = {
  /** Events after this place; absent: from now on; 0: all */
  readonly after?: number | undefined
  readonly ticket?: string | undefined
  readonly run?: string | undefined
  readonly type?: readonly string[] | undefined
  readonly signal?: AbortSignal | undefined
  /** Called each time the stream stands: what happens from here on will be seen */
  readonly onOpen?: (() => void) | undefined
}

/** The server sends a comment every 15 s */
const IDLE_MS = 45_000

/**
 * Events as they happen, each once and in order, also over broken connections. Ends when the signal aborts.
 * @throws ApiError when the server says no for good
 */
export function watchEvents(transport: Transport, options: WatchOptions): AsyncIterable<EventBody> {
  const { ticket, run, type, onOpen } = options
  let lastSeq = options.after
  async function* read(signal: AbortSignal): AsyncIterable<EventBody> {
    const response = await open(transport, listEventsSpec, {
      query: { ticket, run, type },
      headers: lastSeq === undefined ? {} : { 'last-event-id': String(lastSeq) },
      accept: 'text/event-stream',
      signal,
    })
    for await (const message of readMessages(readChunks(response.body, IDLE_MS))) {
      lastSeq = Number(message.id)
      if (message.event === 'opened') onOpen?.()
      else yield toEvent(message)
    }
  }
  const source = { open: async (signal: AbortSignal) => read(signal), hasMore: async () => true }
  return readResiliently(source, options.signal ?? new AbortController().signal)
}

function toEvent(message: StreamMessage): EventBody {
  const parsed = eventSchema.safeParse(parseJson(message.data))
  if (parsed.success) return parsed.data
  throw new ConnectionError('answer_invalid', `event ${message.id} is not what this version understands`, {
    cause: parsed.error,
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
